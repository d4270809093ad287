"""The example plugins in single files: each passes the conformance kit, and does what its first line says."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fynx.errors import FynxError
from fynx.events import Event
from fynx.ike.effects import StartExchange
from fynx.testing.kit import Subject, examine, subject
from fynx.testing.kit.parts import auth_settings
from fynx.testing.kit.tunnel import Wanted, tunnel
from tests.fresh import ROOT

FILES = sorted((ROOT / "docs" / "examples" / "plugins").glob("*.py"))
ANOTHER = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"  # RFC 8032 section 7.1, test 2
SECRET = "a secret for the tests of single files"


def loaded(name: str) -> Subject:
    return subject(name, next(file for file in FILES if file.stem == name))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_in_a_single_file_passes_the_kit(file: Path) -> None:
    outcomes = list(examine(file.stem, file))
    assert len(outcomes) > 2
    assert not [one for one in outcomes if not one.ok]


def test_a_cipher_in_Python_carries_packets_and_the_status_says_that_it_is_slow() -> None:
    async def story() -> None:
        async with tunnel(Wanted(esp="aes128gcm12"), loaded("slow_cipher").registry) as both:
            await both.echo()
            assert both.left.status()["plane"]["slow"] == ["aes128gcm12"]  # type: ignore[index]

    asyncio.run(story())


def test_an_extension_of_ones_own_greets_and_asks_the_peer() -> None:
    async def story() -> None:
        async with tunnel(Wanted(), loaded("greeting").registry) as both:
            both.left.driver.command(StartExchange("right", 241))
            heard: list[Event] = []
            async with asyncio.timeout(60):
                while not any(getattr(one, "text", "") == "we are well" for one in heard):
                    await asyncio.sleep(0.01)
                    heard = both.events
            texts = {getattr(one, "text", "") for one in heard}
            assert {"hello from the initiator", "hello from the responder"} <= texts

    asyncio.run(story())


def test_a_pinned_key_of_another_is_refused() -> None:
    found = loaded("pinned")
    settings = {**auth_settings(found, "pinned"), "public": ANOTHER}

    async def story() -> None:
        async with tunnel(replace(Wanted(), auth="pinned", settings=settings), found.registry):
            pytest.fail("the tunnel came up")

    with pytest.raises(FynxError, match=r"(?i)authentication"):
        asyncio.run(story())


def test_a_store_keeps_its_values_in_a_file_of_mode_0600_and_refuses_another_mode(tmp_path: Path) -> None:
    found = loaded("sqlite_store")
    path = tmp_path / "store.db"
    section = found.registry.sections["host.store.sqlite"](path=str(path))
    found.registry.stores["sqlite"].open(section).write("psk", "hq", b"kept")
    assert path.stat().st_mode & 0o777 == 0o600
    assert found.registry.stores["sqlite"].open(section).read("psk", "hq") == b"kept"
    path.chmod(0o644)
    with pytest.raises(Exception, match=f"others can read it[^!]*chmod 0600 {path}"):
        found.registry.stores["sqlite"].open(section)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A host whose peer does not answer: that is an event, too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    auth = {"psk": {"secret": SECRET}}
    peer = {
        "remote": {"address": "127.0.0.1", "port": port, "id": "nobody.test", "auth": auth},
        "local": {"id": "me.test", "auth": auth},
        "start": "initiate",
        "retransmission": {"base_s": 0.05, "tries": 2},
        "children": {"net": {"local": ["198.18.0.0/24"], "remote": ["198.18.1.0/24"]}},
    }
    transport = {"udp": {"listen": ["127.0.0.1"], "ports": [0]}}
    config = {"host": {"transport": transport, "plane": {"inproc": {}}}, "peers": {"nobody": peer}}
    file = tmp_path / "site.yaml"
    file.touch(mode=0o600)
    file.write_text(json.dumps(config, indent=1))
    return file


@pytest.fixture
def running(site: Path, tmp_path: Path) -> Iterator[Path]:
    """``fynx run -p bell.py``; what it says on stderr."""
    said = tmp_path / "stderr"
    line = [sys.executable, "-m", "fynx", "run", "-c", str(site), "-p", str(ROOT / "docs/examples/plugins/bell.py")]
    environment = {**os.environ, "FYNX_RUN_DIR": str(tmp_path / "run")}
    with said.open("wb") as out:
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=out, env=environment)
    yield said
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_fynx_run_with_a_file_tells_its_listener_of_events(running: Path) -> None:
    end = time.monotonic() + 60
    while "\anobody: HandshakeFailed" not in running.read_text():
        assert time.monotonic() < end, running.read_text()
        time.sleep(0.05)


def test_fynx_run_refuses_a_file_that_others_can_write(site: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bell.py"
    bad.write_text("raise SystemExit('it ran')")
    bad.chmod(0o666)
    line = [sys.executable, "-m", "fynx", "run", "-c", str(site), "-p", str(bad)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 5
    assert f"chmod go-w {bad}" in done.stderr
    assert "it ran" not in done.stderr
