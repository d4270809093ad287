"""A daemon under test as a child process inside a namespace: started, asked for its output, ended by its pid."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from lab.netns import Namespace


class Daemon:
    """One process; its output goes to ``directory/NAME.out``."""

    def __init__(self, namespace: Namespace, directory: Path, name: str) -> None:
        self.namespace = namespace
        self.directory = directory
        self.output = directory / f"{name}.out"
        self._process: subprocess.Popen[bytes] | None = None
        self._sink: IO[bytes] | None = None

    def launch(self, *command: str, environment: Mapping[str, str]) -> None:
        self._sink = self.output.open("ab")
        self._process = subprocess.Popen(
            self.namespace.command(*command),
            env={**os.environ, **environment},
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=self._sink,
            stderr=subprocess.STDOUT,
        )

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def said(self) -> str:
        """Everything the process has written so far."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def end(self, how: signal.Signals = signal.SIGTERM, within_s: float = 100.0) -> int:
        """Signal the process and wait for it; one that does not go is killed and reported by TimeoutExpired."""
        if self._process is None:
            return 0
        process = self._process
        try:
            if process.poll() is None:
                process.send_signal(how)
            return process.wait(within_s)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(within_s)
            if self._sink is not None:
                self._sink.close()
                self._sink = None
