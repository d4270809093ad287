"""The control socket (bad-inputs L4): JSON lines over a Unix socket of mode 0600, for root and the host's own user."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from fynx import logs
from fynx.errors import ConfigError, FynxError, Problem
from fynx.events import Event
from fynx.logs import clean
from fynx.run.failures import FAILED, HostError
from fynx.run.words import describe

log = logging.getLogger("fynx.run")

LARGEST = 1 << 20
MOST_CLIENTS = 64
WAIT_S = 10.0
"""For a client to finish its line, or to take ours."""
LONGEST_UP_S = 3600.0


class Controlled(Protocol):
    """The host, as its control socket sees it."""

    def status(self) -> dict[str, object]: ...

    async def up(self, peer: str, child: str = "", *, timeout_s: float = ...) -> None: ...

    async def down(self, peer: str, child: str = "", *, leave_open: bool = False) -> bool: ...

    def rekey(self, peer: str, child: str = "") -> None: ...

    def restart_worker(self, number: int) -> None: ...

    def dummies(self, peer: str, child: str = "", *, count: int = 1, size: int = 64) -> int: ...

    async def reload(self, file: str = "", *, dry: bool = False) -> dict[str, Any]: ...

    def events(self) -> AsyncIterator[Event]: ...


class ControlServer:
    """One connection may ask many things, one after the other; each line gets one line, ``events`` gets many."""

    def __init__(self, path: Path, host: Controlled) -> None:
        self._path, self._host = path, host
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Replaces a socket that a crash left: the lock says that nobody listens there. Raises HostError."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        before = os.umask(0o177)
        try:
            listening.bind(str(self._path))
        except OSError as error:
            listening.close()
            raise HostError(f"{self._path}: {error.strerror or error}") from error
        finally:
            os.umask(before)
        self._server = await asyncio.start_unix_server(self._accepted, sock=listening, limit=LARGEST)

    async def close(self) -> None:
        if self._server is None:
            return
        self._server.close()
        current = asyncio.current_task()
        waiting = [task for task in self._clients if task is not current]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        self._server = None

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            if len(self._clients) >= MOST_CLIENTS or not _allowed(writer.get_extra_info("socket")):
                return
            self._clients.add(task)
            await self._talk(reader, writer)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, stalled, or sent more than fits; or we stop
        except Exception:
            log.exception("a control client failed")
        finally:
            self._clients.discard(task)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(WAIT_S):
                line = await reader.readline()
            if not line.endswith(b"\n"):
                return
            request = _parsed(line)
            if request.get("command") == "events":
                await self._stream(writer)
                return
            await _send(writer, await self._answer(request))

    async def _answer(self, request: Mapping[str, object]) -> dict[str, object]:
        try:
            return {"schema": "fynx.answer/1", "ok": True, "result": await self._perform(request)}
        except ConfigError as error:
            problems = [{key: getattr(each, key) for key in Problem.__slots__} for each in error.problems]
            return {"schema": "fynx.answer/1", "ok": False, "code": error.label, "error": "", "problems": problems}
        except FynxError as error:
            return {
                "schema": "fynx.answer/1",
                "ok": False,
                "code": error.label,
                "error": clean(str(error)),
                "exit": error.exit_code if isinstance(error, HostError) else FAILED,
                "remedy": error.remedy,
            }

    async def _perform(self, request: Mapping[str, object]) -> object:
        peer, child = _text(request, "peer"), _text(request, "child")
        match request.get("command"):
            case "status":
                return self._host.status()
            case "up":
                wait = request.get("timeout_s")
                timeout_s = float(wait) if isinstance(wait, int | float) else 60.0
                await self._host.up(peer, child, timeout_s=max(0.0, min(timeout_s, LONGEST_UP_S)))
                return {}
            case "rekey":
                self._host.rekey(peer, child)
                return {}
            case "restart_worker":
                number = request.get("number")
                self._host.restart_worker(number if isinstance(number, int) else 0)
                return {}
            case "dummies":
                count, size = _number(request, "count", 1), _number(request, "size", 64)
                return {"sent": self._host.dummies(peer, child, count=count, size=size)}
            case "reload" | "plan":
                return await self._host.reload(_text(request, "file"), dry=request.get("command") == "plan")
            case "down":
                confirmed = await self._host.down(peer, child, leave_open=request.get("leave_open") is True)
                return {"confirmed": confirmed}
            case "logs":
                return {"levels": _levels(request.get("levels"))}
            case other:
                raise HostError(f"no command is called {clean(str(other))!r}")

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        async for event in self._host.events():
            await _send(writer, as_json(event))


def as_json(event: Event) -> dict[str, object]:
    """Schema ``fynx.event/1``: the event's name and fields, the time, and the words for people."""
    values = {each.name: getattr(event, each.name) for each in fields(event)}
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"schema": "fynx.event/1", "time": now, "event": type(event).__name__, **values, "text": describe(event)}


async def _send(writer: asyncio.StreamWriter, message: Mapping[str, object]) -> None:
    writer.write(json.dumps(message, default=str).encode() + b"\n")
    async with asyncio.timeout(WAIT_S):
        await writer.drain()


def _levels(wanted: object) -> dict[str, str]:
    """Sets the levels named, and tells those of all subsystems. Raises HostError, and changes nothing then."""
    pairs = {str(key): str(value) for key, value in wanted.items()} if isinstance(wanted, dict) else {}
    try:
        logs.set_levels(pairs)
    except ValueError as error:
        raise HostError(str(error)) from None
    return logs.levels()


def _parsed(line: bytes) -> dict[str, Any]:
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("a request is a JSON object")
    return found


def _text(request: Mapping[str, object], key: str) -> str:
    value = request.get(key, "")
    return value if isinstance(value, str) else ""


def _number(request: Mapping[str, object], key: str, default: int) -> int:
    value = request.get(key, default)
    return value if isinstance(value, int) else default


def _allowed(sock: Any) -> bool:
    """Root, and the user under whom we run, by the kernel's word (SO_PEERCRED)."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", raw)
    return uid in (0, os.geteuid())
