"""``fynx plan`` and ``fynx reload`` on a running host: words, JSON, exit codes 0, 3, 5 and 7; SIGHUP does the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fynx.cli.main import run as fynx
from fynx.cli.run import _reload
from fynx.config import load
from fynx.run.host import Host
from tests.unit.run.pair import registry, run

FILE = """
name: site
host: {{transport: {{udp: {{listen: [127.0.0.1], ports: [0, 0]}}}}, plane: {{inproc: {{}}}}{host}}}
peers:
  hq:
    remote: {{address: 192.0.2.2, id: hq.test, auth: {{psk: {{secret: "{secret}"}}}}}}
    local: {{id: site.test, auth: {{psk: {{secret: "{secret}"}}}}}}
    start: none
    liveness_s: {liveness}
    children: {{net: {{local: 10.1.0.0/16, remote: 10.2.0.0/16, esp: {esp}}}}}
"""
SECRET = "a secret of the unit tests, forty octets"


class Site:
    """A host with a control socket and a file that can be written anew."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "site.yaml"
        self.write()
        self.host = Host(load(self.file, registry=registry()), registry(), directory=folder / "run")

    def write(self, liveness: object = 30, esp: str = "aes128gcm16", host: str = "", secret: str = SECRET) -> None:
        self.file.write_text(FILE.format(liveness=liveness, esp=esp, host=host, secret=secret))
        self.file.chmod(0o600)


@pytest.fixture
def on_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Site], None]], None]:
    """Runs a blocking test beside a running host; ``FYNX_RUN_DIR`` and ``FYNX_CONFIG`` point there."""
    monkeypatch.setenv("FYNX_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("FYNX_CONFIG", str(tmp_path / "site.yaml"))

    def beside(test: Callable[[Site], None]) -> None:
        async def main() -> None:
            site = Site(tmp_path)
            await site.host.start()
            try:
                await asyncio.to_thread(test, site)
            finally:
                await site.host.stop()

        run(main)

    return beside


OnSite = Callable[[Callable[[Site], None]], None]


def test_plan_says_what_would_happen_and_does_nothing(on_site: OnSite, capsys: pytest.CaptureFixture[str]) -> None:
    def test(site: Site) -> None:
        site.write(liveness=45, esp="aes256gcm16")
        assert fynx(["plan"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split() == ["peer", "/", "child", "up", "what", "happens", "because", "of"]
        assert lines[1].split() == ["hq", "stays", "liveness_s"]
        assert "is rekeyed, no packet is lost" in lines[2]
        assert lines[2].endswith("esp")
        assert site.host.config.peers["hq"].liveness_s == 30

    on_site(test)


def test_plan_as_json_names_its_schema(on_site: OnSite, capsys: pytest.CaptureFixture[str]) -> None:
    def test(site: Site) -> None:
        site.write(secret=SECRET + "!")
        assert fynx(["plan", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert next(iter(found.items())) == ("schema", "fynx.plan/1")
        (peer,) = found["peers"]
        assert peer == {
            "name": "hq",
            "outcome": "remake",
            "changed": ["local_auth", "remote_auth"],
            "up": False,
            "children": [{"name": "net", "outcome": "remake", "changed": [], "up": False, "starts": False}],
        }
        assert SECRET not in str(found)

    on_site(test)


def test_reload_applies_and_diff_says_it_first(on_site: OnSite, capsys: pytest.CaptureFixture[str]) -> None:
    def test(site: Site) -> None:
        site.write(liveness=45)
        assert fynx(["reload", "--diff"]) == 0
        out, err = capsys.readouterr()
        assert "liveness_s" in out
        assert err == "site has the new configuration\n"
        assert site.host.config.peers["hq"].liveness_s == 45

    on_site(test)


def test_l3_a_broken_file_is_exit_code_5_with_every_problem(
    on_site: OnSite, capsys: pytest.CaptureFixture[str]
) -> None:
    def test(site: Site) -> None:
        site.write(liveness="soon", esp="rot13")
        for command in ("plan", "reload"):
            assert fynx([command]) == 5
            err = capsys.readouterr().err
            assert f"{site.file}:9:" in err
            assert f"{site.file}:10:" in err
            assert "nothing was started or changed" in err
        assert site.host.config.peers["hq"].liveness_s == 30

    on_site(test)


def test_what_needs_a_restart_is_exit_code_7(on_site: OnSite, capsys: pytest.CaptureFixture[str]) -> None:
    def test(site: Site) -> None:
        site.write(liveness=45, host=", children_per_sa: 9, crash_detection: false")
        assert fynx(["reload"]) == 7
        assert "takes effect after a restart only: host.crash_detection" in capsys.readouterr().err
        assert site.host.driver.endpoint.policy.children_per_sa == 9

    on_site(test)


def test_without_a_running_host_both_are_exit_code_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FYNX_RUN_DIR", str(tmp_path / "run"))
    Site(tmp_path)
    for command in ("plan", "reload"):
        assert fynx([command, "-c", str(tmp_path / "site.yaml")]) == 3


def test_sighup_reloads_and_a_broken_file_is_told_and_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "fynx.run")

    async def test() -> None:
        site = Site(tmp_path)
        await site.host.start()
        site.write(liveness=45)
        await _reload(site.host)
        assert site.host.config.peers["hq"].liveness_s == 45
        site.write(liveness="soon")
        await _reload(site.host)
        assert site.host.config.peers["hq"].liveness_s == 45
        assert "the old configuration stays" in caplog.text
        await site.host.stop()

    run(test)
