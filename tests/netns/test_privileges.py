"""Without privileges: clear words, exit code 4, the exact line to run, and nothing changed."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest

from tests.netns.world import SECRET, Gateway, World

DROP = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs")


def without_privileges(gateway: Gateway) -> subprocess.CompletedProcess[str]:
    gateway.write()
    line = ["ip", "netns", "exec", gateway.place.name, *DROP, *gateway.line]
    environment = {**os.environ, "FYNX_RUN_DIR": str(gateway.folder / "run"), "HQ_PSK": SECRET}
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60, env=environment)


@pytest.mark.parametrize("what", ["ports", "device"])
def test_a_missing_privilege_is_exit_code_4_with_the_line_to_run(world: World, left: Gateway, what: str) -> None:
    if what == "device":
        host: dict[str, Any] = left.site["host"]
        host["transport"] = {"udp": {"ports": [15000, 14500]}}
    left.peer["local"]["auth"]["psk"]["secret"] = "@env:HQ_PSK"
    done = without_privileges(left)
    assert done.returncode == 4, done.stderr
    assert {"ports": "UDP port 500", "device": "fynx0"}[what] in done.stderr
    assert "try: sudo --preserve-env=FYNX_RUN_DIR,HQ_PSK " in done.stderr
    assert f"run -c {left.file}" in done.stderr
    assert world.left.owned() == {"routes": [], "rules": [], "tables": [], "devices": []}
    assert list((left.folder / "run").glob("*")) == []


def test_a_device_of_someone_else_is_not_taken_over(world: World, left: Gateway) -> None:
    """Row L16: exit code 3, nothing changed."""
    world.left.ip("tuntap add dev fynx0 mode tun")
    left.write()
    done = left.again()
    assert done.returncode == 3, done.stderr
    assert "fynx0 exists already" in done.stderr
    assert world.left.owned()["devices"] == ["fynx0"]
    assert world.left.owned()["routes"] == []


def test_a_stranger_who_reaches_the_control_socket_is_told_nothing(world: World, left: Gateway) -> None:
    """Row L4: file modes say no first; were they wrong, the kernel's word on the caller's uid still does."""
    left.start()
    folder = left.folder / "run"
    folder.chmod(0o755)
    (folder / "left.sock").chmod(0o666)
    talk = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('left.sock');"
        's.sendall(b\'{"command": "status"}\\n\'); print(s.recv(100))'
    )

    def ask(user: int) -> str:
        line = ["/usr/bin/python3", "-c", talk]
        return subprocess.run(line, cwd=folder, user=user, capture_output=True, text=True, check=False).stdout

    assert "fynx.answer/1" in ask(0)
    assert "fynx" not in ask(65534)
