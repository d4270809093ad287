"""``fynx run``, ``up``, ``down``, ``status`` and ``doctor``: what they print and how they end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fynx.cli import doctor
from fynx.cli.control import name_in
from fynx.cli.main import run as fynx
from fynx.errors import ConfigError
from fynx.run.client import Control
from tests.unit.run.pair import PATIENT, Pair, pair

SECRET = "a secret of the unit tests, forty octets"


class Running:
    """A pair of hosts on a loop of its own in a thread; the left one has a control socket."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self.both: Pair | None = None

    def __enter__(self) -> Running:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._over is not None
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(60)

    def silence(self) -> None:
        """From now on nothing arrives."""
        assert self.both is not None
        self.both.network.passes = lambda _datagram: False

    async def _main(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        async with pair(left={"retransmission": PATIENT}, directory=self._directory) as self.both:
            self._ready.set()
            await self._over.wait()


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setenv("FYNX_RUN_DIR", str(tmp_path / "run"))
    with Running(tmp_path / "run") as made:
        yield made


@pytest.mark.usefixtures("running")
def test_status_as_json_begins_with_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert fynx(["up", "right", "--name", "left"]) == 0
    capsys.readouterr()
    assert fynx(["status", "--name", "left", "--json"]) == 0
    text = capsys.readouterr().out
    assert text.lstrip("{ \n").startswith('"schema": "fynx.status/1"')
    found = json.loads(text)
    (peer,) = found["peers"]
    wanted = {"name", "state", "remote", "local_id", "remote_id", "spi_i", "spi_r", "established_s", "children"}
    assert wanted <= peer.keys()
    wanted = {"name", "state", "spi_in", "spi_out", "mode", "local", "remote", "esp", "provider", "drops"}
    wanted |= {"bytes_in", "bytes_out", "packets_in", "packets_out"}
    assert wanted <= peer["children"][0].keys()


@pytest.mark.usefixtures("running")
def test_status_as_a_table_names_peers_and_children(capsys: pytest.CaptureFixture[str]) -> None:
    assert fynx(["up", "right", "--name", "left"]) == 0
    assert fynx(["status", "right", "--name", "left"]) == 0
    out = capsys.readouterr().out
    assert "right" in out
    assert "10.1.0.0/16 <-> 10.2.0.0/16" in out


@pytest.mark.usefixtures("running")
def test_up_and_down_speak_on_stderr_and_print_data_only_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert fynx(["up", "right", "--name", "left"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "right is up\n")
    assert fynx(["down", "right", "--name", "left", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["confirmed"] is True


def test_down_without_the_peers_word_is_exit_code_7(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert fynx(["up", "right", "--name", "left"]) == 0
    running.silence()
    assert fynx(["down", "right", "--name", "left"]) == 7
    assert "    try: fynx down right --leave-open --name left\n" in capsys.readouterr().err
    assert fynx(["down", "right", "--name", "left", "--leave-open"]) == 0


def test_up_without_an_answer_is_exit_code_6(running: Running) -> None:
    running.silence()
    assert fynx(["up", "right", "--name", "left", "--timeout", "0.1"]) == 6


@pytest.mark.usefixtures("running")
def test_unknown_peers_are_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert fynx(["up", "nobody", "--name", "left"]) == 1
    assert fynx(["status", "nobody", "--name", "left"]) == 1
    assert capsys.readouterr().err.count("no peer is called 'nobody'; configured: right\n") == 2


@pytest.mark.usefixtures("running")
def test_what_needs_a_tunnel_says_how_to_bring_it_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert fynx(["rekey", "right", "--name", "left"]) == 1
    assert capsys.readouterr().err == "FYNX-3001: peer 'right' is not up\n    try: fynx up right\n"


def test_a_host_that_does_not_run_is_exit_code_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FYNX_RUN_DIR", str(tmp_path))
    for command in ("up right", "down right", "status"):
        assert fynx([*command.split(), "--name", "left"]) == 3


def test_a_host_that_does_not_run_is_told_with_the_line_that_starts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FYNX_RUN_DIR", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    file = site(tmp_path)
    assert fynx(["status", "-c", str(file)]) == 3
    assert capsys.readouterr().err.endswith(f"    try: fynx run -c {file}\n")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert fynx(["status", "-c", str(file)]) == 3
    assert "one that root runs answers root alone" in capsys.readouterr().err


@pytest.mark.usefixtures("running")
def test_the_only_host_that_runs_needs_no_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FYNX_CONFIG", raising=False)
    monkeypatch.setattr("fynx.cli.options.DEFAULT_FILE", tmp_path / "none.yaml")
    assert fynx(["status"]) == 0


def test_the_name_is_read_without_loading_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("peers: {}\n")
    assert name_in(file) == "site"
    file.write_text("name: hq\nplugins: [no_such_plugin]\n")
    assert name_in(file) == "hq"
    with pytest.raises(ConfigError, match="--name"):
        name_in(tmp_path / "none.yaml")


def test_doctor_has_a_verdict_on_everything_it_looks_at(capsys: pytest.CaptureFixture[str]) -> None:
    code = fynx(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "fynx.doctor/1"
    assert found["ok"] is (code == 0)
    assert {"python", "CAP_NET_ADMIN", "/dev/net/tun", "TUN frames", "datagram batches", "nft", "providers"} <= {
        finding["name"] for finding in found["findings"]
    }
    assert {finding["verdict"] for finding in found["findings"]} <= {"ok", "warn", "fail"}


def test_doctor_names_the_line_for_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "_capabilities", lambda: 0)
    monkeypatch.setattr(doctor, "TUN", Path("/dev/net/no-such-device"))
    assert fynx(["doctor"]) == 4
    err = capsys.readouterr().err
    assert "sudo modprobe tun" in err
    assert "CAP_NET_ADMIN: try: sudo " in err


def test_doctor_says_what_is_lost_without_frames_and_batches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "_tun_features", lambda: 0)
    monkeypatch.setattr(doctor, "BATCHES", {"UDP_SEGMENT": 103, "UDP_NONE": 9999})
    fynx(["doctor", "--json"])
    found = {each["name"]: each for each in json.loads(capsys.readouterr().out)["findings"]}
    assert found["TUN frames"]["verdict"] == found["datagram batches"]["verdict"] == "warn"
    assert "several times slower" in found["TUN frames"]["text"]
    assert "lacks UDP_NONE: a tunnel is several times slower" in found["datagram batches"]["text"]


def test_doctor_ends_with_3_when_only_a_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        monkeypatch.setattr(doctor, "PORTS", (taken.getsockname()[1],))
        monkeypatch.setattr(doctor, "_tun", lambda: doctor.Finding("/dev/net/tun", "ok", ""))
        assert fynx(["doctor"]) == 3


def site(folder: Path, ports: tuple[int, int] = (0, 0)) -> Path:
    auth = {"psk": {"secret": SECRET}}
    file = folder / "site.yaml"
    file.touch(mode=0o600)
    file.write_text(
        json.dumps(
            {
                "host": {
                    "transport": {"udp": {"listen": ["127.0.0.1"], "ports": list(ports)}},
                    "plane": {"inproc": {}},
                },
                "peers": {
                    "hq": {
                        "remote": {"address": "127.0.0.1", "id": "hq.test", "auth": auth, "port": 9},
                        "local": {"id": "branch.test", "auth": auth},
                        "start": "none",
                        "retransmission": {"base_s": 0.05, "tries": 1},
                        "children": {"net": {"local": ["10.1.0.0/16"], "remote": ["10.2.0.0/16"]}},
                    }
                },
            }
        )
    )
    return file


class Program:
    """``fynx run`` as a process of its own."""

    def __init__(self, folder: Path, file: Path, *arguments: str) -> None:
        self.socket = folder / "run" / "site.sock"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fynx", "run", "-c", str(file), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "FYNX_RUN_DIR": str(folder / "run"), "NO_COLOR": "1"},
        )

    def wait(self) -> None:
        end = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, self._process.communicate()
            assert time.monotonic() < end
            time.sleep(0.02)

    def _answers(self) -> bool:
        """The file is there a moment before anybody listens."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def end(self, number: int | None = None) -> tuple[int, str, str]:
        if number is not None:
            self._process.send_signal(number)
        out, err = self._process.communicate(timeout=60)
        return self._process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_tells_events_on_stdout_and_ends_with_0_at_a_signal(tmp_path: Path, number: int) -> None:
    program = Program(tmp_path, site(tmp_path))
    program.wait()
    with Control(program.socket) as control, pytest.raises(Exception, match="no answer"):
        control.ask("up", peer="hq", timeout_s=60)
    code, out, err = program.end(number)
    assert code == 0, err
    assert "hq: handshake with 127.0.0.1:9 begins" in out
    assert "hq: handshake with 127.0.0.1:9 failed: no answer" in out
    assert "handshake" not in err
    assert "site is running" in err
    assert not program.socket.exists()
    assert SECRET not in out + err


def test_run_survives_sighup_and_writes_json_when_asked(tmp_path: Path) -> None:
    program = Program(tmp_path, site(tmp_path), "--log", "json")
    program.wait()
    os.kill(program._process.pid, signal.SIGHUP)
    with Control(program.socket) as control, pytest.raises(Exception, match="no answer"):
        control.ask("up", peer="hq", timeout_s=60)
    code, out, err = program.end(signal.SIGTERM)
    assert code == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events][:2] == ["HandshakeStarted", "HandshakeFailed"]
    assert all(json.loads(line)["schema"] == "fynx.log/1" for line in err.splitlines())


def test_run_twice_is_exit_code_3_and_so_is_a_port_in_use(tmp_path: Path) -> None:
    """Row L16."""
    first = Program(tmp_path, site(tmp_path))
    first.wait()
    code, _out, err = Program(tmp_path, tmp_path / "site.yaml").end()
    assert code == 3
    assert "site is running already" in err
    assert first.end(signal.SIGTERM)[0] == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        code, _out, err = Program(tmp_path, site(tmp_path, (0, port))).end()
    assert code == 3
    assert f"UDP port {port} on 127.0.0.1" in err


def test_run_with_a_wrong_configuration_is_exit_code_5(tmp_path: Path) -> None:
    file = site(tmp_path)
    file.write_text("nmae: x\n")
    assert fynx(["run", "-c", str(file)]) == 5
