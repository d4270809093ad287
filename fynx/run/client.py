"""The other end of the control socket, for the command line: blocking, one request at a time."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fynx.errors import ConfigError, Problem
from fynx.run.failures import FAILED, NOT_RUNNING, PERMISSION, HostError, HostTimeout, permission_line


class Control:
    """Connects at once. Raises HostError: 3 when nobody listens, 4 without permission, 6 when no answer comes."""

    def __init__(self, path: Path, timeout_s: float = 70.0, *, start: str = "fynx run") -> None:
        """``start`` is what to do when nobody listens."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(path))
        except PermissionError as error:
            self._socket.close()
            raise HostError(f"{path}: {error.strerror}", PERMISSION, permission_line()) from None
        except OSError:
            self._socket.close()
            raise HostError(f"{path.stem} is not running (no one listens at {path})", NOT_RUNNING, start) from None
        self._file = self._socket.makefile("rb")

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, command: str, **arguments: object) -> Any:
        """The result of one command. Raises HostError with what the host says, ConfigError for a file it cannot use."""
        self._say({"command": command, **arguments})
        answer = self._hear()
        if answer.get("ok") is not True:
            problems = answer.get("problems")
            if isinstance(problems, list):
                raise ConfigError(tuple(Problem(**each) for each in problems))
            raise _failure(answer)
        return answer.get("result")

    def events(self) -> Iterator[dict[str, Any]]:
        """Every event from now on, until the host ends."""
        self._say({"command": "events"})
        self._socket.settimeout(None)
        while line := self._file.readline():
            yield json.loads(line)

    def _say(self, request: Mapping[str, object]) -> None:
        self._socket.sendall(json.dumps(request).encode() + b"\n")

    def _hear(self) -> dict[str, Any]:
        try:
            line = self._file.readline()
        except TimeoutError:
            raise HostTimeout("the host does not answer") from None
        if not line:
            raise HostError("the host closed the connection", PERMISSION, permission_line())
        found: dict[str, Any] = json.loads(line)
        return found


def _failure(answer: Mapping[str, Any]) -> HostError:
    """The host's error again, under the code that it has there."""
    label, code = str(answer.get("code")).removeprefix("FYNX-"), answer.get("exit")
    return HostError(
        str(answer.get("error")),
        code if isinstance(code, int) else FAILED,
        str(answer.get("remedy") or ""),
        code=int(label) if label.isdecimal() else 0,
    )
