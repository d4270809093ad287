"""Plugins that take the program down at their import: tried in a process that may die, named, left out (row L13).

The plugins are installed as a distribution of third parties, the hosts are processes of ``fynx run``.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fynx.config import crashing, load
from fynx.errors import ConfigError, PluginError
from fynx.kernel import trial
from fynx.kernel.file import FileCandidate
from fynx.kernel.loader import boot
from fynx.run.policy import at_start, host_policy
from tests.unit.config.support import registry
from tests.unit.run.processes import Site, free_port, peer, site  # noqa: F401  the fixture

CRASHES = "import ctypes\nctypes.string_at(0)\n"
HEAD = "from fynx.plugin import hookimpl\nFYNX_API = 1\n"
AUTH = HEAD + "@hookimpl\ndef fynx_auth_methods():\n    return []\n" + CRASHES
AUTHORIZE = HEAD + "@hookimpl\ndef fynx_authorize(request):\n    return False\n" + CRASHES
SAYS_NOTHING = CRASHES
WHY = "crashes the program (SIGSEGV) at its import"
LIST = ["default", "+acme"]


@pytest.fixture
def acme(site: Site) -> Site:  # noqa: F811
    return install(site, AUTH)


def install(site: Site, source: str) -> Site:  # noqa: F811
    info = site.folder / "acme_dist-1.2.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-dist\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[fynx]\nacme = acme_plugin\n")
    (site.folder / "acme_plugin.py").write_text(source)
    site.environment["PYTHONPATH"] = os.pathsep.join([str(site.folder), site.environment.get("PYTHONPATH", "")])
    return site


def by_acme(name: str, side: str) -> dict[str, object]:
    """A peer that only the crashing plugin could authenticate."""
    made = peer(name, side, 9, "initiate")
    made["remote"]["auth"] = {"acme": {"key": "x"}}
    return made


def test_L13_a_plugin_that_crashes_is_left_out_and_the_others_are_served(acme: Site) -> None:
    left, right = free_port(), free_port()
    acme.run(acme.write("right", right, {"left": peer("left", "right", left, "none")}))
    peers = {"right": peer("right", "left", right, "initiate"), "lost": by_acme("lost", "left")}
    file = acme.write("left", left, peers, plugins=LIST)
    acme.run(file)
    acme.wait_for("left", "is running")
    assert f"plugin acme {WHY}: it is left out. Look at it: fynx plugins test acme" in acme.log("left")
    assert "peer lost is not served: its settings want a plugin that is left out" in acme.log("left")
    acme.ask("up", "right", "--name", "left", "--timeout", "40")
    refused = acme.fynx("up", "lost", "--name", "left")
    assert refused.returncode == 1
    assert f"peer lost is not served: plugin acme {WHY}" in refused.stderr
    told = acme.ask("status", "--name", "left")
    assert told["plugins"] == {"acme": {"peers": ["lost"], "everywhere": True, "why": WHY}}
    assert [one["state"] for one in told["peers"] if one["name"] == "lost"] == ["down"]
    assert acme.ask("reload", "-c", str(file), "--name", "left")["needs_restart"] == []


def test_L13_check_says_what_crashes_and_who_is_not_served(acme: Site) -> None:
    done = acme.fynx("check", "-c", str(acme.write("left", 0, {"lost": by_acme("lost", "left")}, plugins=LIST)))
    assert done.returncode == 5
    assert f"plugin 'acme': {WHY}; not served: lost" in done.stderr
    assert "fynx plugins test acme" in done.stderr


@pytest.mark.parametrize("source", [AUTHORIZE, SAYS_NOTHING], ids=["authorizes", "says nothing of itself"])
def test_L13_a_host_does_not_start_without_a_plugin_that_may_say_who_connects(
    site: Site,  # noqa: F811
    source: str,
) -> None:
    install(site, source)
    done = site.fynx("run", "-c", str(site.write("left", 0, {}, plugins=LIST)))
    assert done.returncode == 5
    assert f"plugin 'acme' (distribution acme-dist 1.2): {WHY}" in done.stderr


DECIDE = "@hookimpl\ndef fynx_authorize(request):\n    return False\n"
DECIDES = {
    "by a name of another module": ("from acme_decide import fynx_authorize\n", HEAD + DECIDE),
    "by all names of another module": ("from acme_decide import *\n", HEAD + DECIDE),
    "inside of an if": ("if True:\n    " + DECIDE.replace("\n", "\n    ") + "\n", ""),
    "by a call of the mark": ("fynx_authorize = hookimpl(lambda request: False)\n", ""),
}


@pytest.mark.parametrize("case", DECIDES)
def test_L13_however_a_plugin_says_who_connects_it_is_not_left_out(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says, elsewhere = DECIDES[case]
    (tmp_path / "acme_decide.py").write_text(elsewhere)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "acme_decide", raising=False)
    whole = boot([], files=[candidate("acme", HEAD + says)])
    monkeypatch.delitem(sys.modules, "acme_decide", raising=False)
    assert whole.notify.authorizes
    with pytest.raises(PluginError, match=r"^plugin 'acme' .*crashes the program"):
        crashing(text(), [candidate("acme", HEAD + says + CRASHES)])


def test_L13_a_plugin_that_says_nothing_of_who_connects_is_left_out() -> None:
    assert crashing(text(), [candidate("acme", AUTH)]) == {"acme": WHY}


TEXT = """
peers:
  lost:
    remote: {{address: 192.0.2.9, id: lost.test, auth: {auth}}}
    local: {{id: me.test, auth: {auth}}}
    children:
      net: {{local: [198.51.100.0/24], remote: [203.0.113.0/24], esp: [{esp}]}}
{more}"""


def text(auth: str = "{acme: {}}", esp: str = "aes128gcm16", more: str = "") -> str:
    return TEXT.format(auth=auth, esp=esp, more=more)


@pytest.mark.parametrize(
    "source",
    [text(), text(auth="{psk: {secret: a key of forty octets for these tests}}", esp="acme128")],
    ids=["its authentication", "its cipher"],
)
def test_a_peer_that_cannot_do_without_keeps_its_networks_closed_and_calls_nobody(source: str) -> None:
    config = load(source, left_out={"acme": WHY})
    assert config.closed == {"lost"}
    policy = host_policy(config, config.registry, resolve={})
    (child,) = policy.peers[0].children
    assert (child.local[0].start.hex(), child.remote[0].start.hex()) == ("c6336400", "cb007100")
    assert at_start(config, "lost") == ()


KINDS = {
    "a gateway with a pool": ("pool: road", "net: {local: [198.51.100.0/24], remote: [dynamic]}"),
    "a client that asks for its address": ("request: [ipv4]", "net: {local: [dynamic], remote: [203.0.113.0/24]}"),
    "an IKE SA without children": ("childless: true", ""),
}


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_kind_of_peer_cannot_do_without_the_others_are_served(kind: str) -> None:
    says, children = KINDS[kind]
    crash, psk = "{acme: {}}", "{psk: {secret: a key of forty octets for these tests}}"
    source = f"""
host: {{plane: {{inproc: {{}}}}, pools: {{road: {{addresses: [198.18.0.0/24]}}}}}}
peers:
  lost:
    remote: {{address: any, id: lost.test, auth: {crash}}}
    local: {{id: me.test, auth: {crash}}}
    children: {{{children}}}
    {says}
  good:
    remote: {{address: 192.0.2.9, id: good.test, auth: {psk}}}
    local: {{id: me.test, auth: {psk}}}
    children: {{net: {{local: [198.51.100.0/24], remote: [203.0.113.0/24]}}}}
"""
    config = load(source, registry=registry(), left_out={"acme": WHY})
    assert config.closed == {"lost"}
    assert [one.name for one in host_policy(config, config.registry, resolve={}).peers] == ["lost", "good"]


def test_nobody_knows_the_key_of_a_peer_that_is_closed() -> None:
    keys = [load(text(), left_out={"acme": WHY}).peers["lost"].remote.auth.section for _ in range(2)]
    assert keys[0] != keys[1]


@pytest.mark.parametrize("more", ["host: {transport: {acme: {}}}", "unknown: 1"])
def test_what_is_wrong_elsewhere_still_starts_nothing(more: str) -> None:
    with pytest.raises(ConfigError):
        load(text(more=more), left_out={"acme": WHY})


def test_without_a_plugin_that_is_left_out_a_wrong_peer_starts_nothing() -> None:
    with pytest.raises(ConfigError, match="acme"):
        load(text())


def candidate(name: str, source: str) -> FileCandidate:
    return FileCandidate(name, f"/{name}.py", "file", "0", source.encode())


def test_the_trial_says_how_a_process_ends_and_passes_what_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "LIMIT_S", 20.0)
    found = trial.crashes(
        [
            candidate("crash", HEAD + CRASHES),
            candidate("leave", HEAD + "import os\nos._exit(0)\n"),
            candidate("raises", "raise ZeroDivisionError\n"),
            candidate("good", HEAD),
            replace(candidate("ours", CRASHES), distribution="fynx-ipsec"),
        ]
    )
    assert found == {"crash": WHY, "leave": "ends the program (exit code 0) at its import"}


def test_the_trial_ends_what_hangs_in_C(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "LIMIT_S", 0.5)
    held = candidate("held", HEAD + "import ctypes\nctypes.PyDLL(None).sleep(3600)\n")
    assert trial.crashes([held]) == {"held": "hangs the program at its import: it did not return within 0.5 s"}
