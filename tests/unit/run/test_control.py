"""The control socket against people and against clients that stall, flood and lie (row L4)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import stat
import struct
from pathlib import Path
from typing import Any

import pytest

from fynx import logs
from fynx.run import control
from fynx.run.client import Control
from fynx.run.control import LARGEST, MOST_CLIENTS
from fynx.run.failures import HostError
from tests.unit.run.pair import pair, plane, run, soon


async def exchange(path: Path, *lines: bytes) -> list[dict[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    answers = []
    for line in lines:
        writer.write(line)
        answers.append(json.loads(await reader.readline() or b"{}"))
    writer.close()
    await writer.wait_closed()
    return answers


def test_the_socket_is_for_its_owner_alone_and_goes_with_the_host(tmp_path: Path) -> None:
    async def test() -> None:
        async with pair(directory=tmp_path / "run"):
            mode = (tmp_path / "run" / "left.sock").stat().st_mode
            assert stat.S_ISSOCK(mode)
            assert mode & 0o777 == 0o600
        assert not (tmp_path / "run").exists()

    run(test)


def test_up_status_and_down_over_the_socket(tmp_path: Path) -> None:
    async def test() -> None:
        async with pair(directory=tmp_path):
            path = tmp_path / "left.sock"
            up, status, down = await exchange(
                path,
                b'{"command": "up", "peer": "right", "timeout_s": 60}\n',
                b'{"command": "status"}\n',
                b'{"command": "down", "peer": "right"}\n',
            )
            assert up["ok"] is True
            assert status["result"]["peers"][0]["state"] == "established"
            assert down["result"] == {"confirmed": True}

    run(test)


def test_dummies_over_the_socket_reach_the_peer_and_what_cannot_be_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with pair(directory=tmp_path) as both:
            down, _, sent, one, many, other, small = await exchange(
                tmp_path / "left.sock",
                b'{"command": "dummies", "peer": "right"}\n',
                b'{"command": "up", "peer": "right", "timeout_s": 60}\n',
                b'{"command": "dummies", "peer": "right", "count": 30, "size": 300}\n',
                b'{"command": "dummies", "peer": "right", "child": "net"}\n',
                b'{"command": "dummies", "peer": "right", "count": 10001}\n',
                b'{"command": "dummies", "peer": "right", "child": "no"}\n',
                b'{"command": "dummies", "peer": "right", "size": 19}\n',
            )
            assert (sent["result"], one["result"]) == ({"sent": 30}, {"sent": 1})
            refused = {"no Child SA is up": down, "10000": many, "could carry": other, "20 to 9000": small}
            assert all(word in answer["error"] for word, answer in refused.items()), refused
            while plane(both.right).engine.counters()["drop_dummy"] < 31:
                await asyncio.sleep(0.01)

    run(test)


def test_the_blocking_client_speaks_the_same_language(tmp_path: Path) -> None:
    def talk() -> str:
        with Control(tmp_path / "left.sock") as client:
            client.ask("up", peer="right", timeout_s=60)
            with pytest.raises(HostError, match="no peer is called"):
                client.ask("up", peer="nobody")
            return str(client.ask("status")["peers"][0]["state"])

    async def test() -> None:
        async with pair(directory=tmp_path):
            assert await asyncio.to_thread(talk) == "established"

    run(test)


def test_nobody_at_the_socket_is_exit_code_3(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="left is not running") as caught:
        Control(tmp_path / "left.sock")
    assert caught.value.exit_code == 3


def test_events_arrive_as_json_lines_with_words(tmp_path: Path) -> None:
    async def test() -> None:
        async with pair(directory=tmp_path) as both:
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "left.sock"))
            writer.write(b'{"command": "events"}\n')
            await asyncio.sleep(0.02)
            await both.left.up("right")
            kinds = []
            while "ChildUp" not in kinds:
                event = json.loads(await reader.readline())
                assert event["schema"] == "fynx.event/1"
                kinds.append(event["event"])
            assert "child net up" in event["text"]
            writer.close()

    run(test)


@pytest.mark.parametrize(
    "line", [b"\n", b"[]\n", b"{\n", b"\xff\xfe\n", b"null\n", struct.pack("!I", 0xFFFFFFFF) + b"{}\n"]
)
def test_what_is_no_request_ends_its_own_connection_only(tmp_path: Path, line: bytes) -> None:
    async def test() -> None:
        async with pair(directory=tmp_path):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "left.sock"))
            writer.write(line)
            assert await reader.read() == b""
            writer.close()
            assert (await exchange(tmp_path / "left.sock", b'{"command": "status"}\n'))[0]["ok"]

    run(test)


def test_unknown_commands_are_answered(tmp_path: Path) -> None:
    async def test() -> None:
        async with pair(directory=tmp_path):
            (answer,) = await exchange(tmp_path / "left.sock", b'{"command": "fly\\u001b[0m"}\n')
            assert answer["ok"] is False
            assert "\x1b" not in answer["error"]

    run(test)


def test_a_line_of_more_than_a_mebibyte_is_cut_off(tmp_path: Path) -> None:
    async def test() -> None:
        async with pair(directory=tmp_path):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "left.sock"))
            with contextlib.suppress(ConnectionError):
                writer.write(b"x" * (LARGEST * 3))
                await writer.drain()
                assert await reader.read() == b""
            writer.close()
            assert (await exchange(tmp_path / "left.sock", b'{"command": "status"}\n'))[0]["ok"]

    run(test)


def test_half_a_request_stalls_nobody_else_and_is_closed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "WAIT_S", 0.5)

    async def test() -> None:
        async with pair(directory=tmp_path):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "left.sock"))
            writer.write(b'{"command": "sta')
            assert (await exchange(tmp_path / "left.sock", b'{"command": "status"}\n'))[0]["ok"]
            assert await reader.read() == b""
            writer.close()

    run(test)


def test_a_thousand_clients_are_held_to_a_limit_and_leave_room_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with pair(directory=tmp_path):
            path = str(tmp_path / "left.sock")
            clients = []
            for _ in range(200):
                clients.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                clients[-1].connect(path)
                await asyncio.sleep(0)
            for client in clients:
                client.setblocking(False)
            await soon(lambda: sum(map(_closed, clients)) == 200 - MOST_CLIENTS)
            for client in clients:
                client.close()
            while not (await exchange(tmp_path / "left.sock", b'{"command": "status"}\n'))[0].get("ok"):
                await asyncio.sleep(0.01)

    run(test)


def _closed(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False


def test_levels_of_the_log_over_the_socket(tmp_path: Path) -> None:
    async def test() -> None:
        before = logs.levels()
        async with pair(directory=tmp_path):
            told, wrong = await exchange(
                tmp_path / "left.sock",
                b'{"command": "logs", "levels": {"ike": "debug"}}\n',
                b'{"command": "logs", "levels": {"ike": "loud"}}\n',
            )
            assert told["result"]["levels"] == {**before, "ike": "debug"}
            assert wrong["ok"] is False
            assert "no log level is called 'loud'" in wrong["error"]
        logs.set_levels(before)

    run(test)
