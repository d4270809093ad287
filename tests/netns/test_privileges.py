"""Without privileges: clear words, exit code 4, the exact line to run, and nothing changed."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest

from tests.netns.world import Gateway, World

DROP = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs")


def without_privileges(gateway: Gateway) -> subprocess.CompletedProcess[str]:
    gateway.write()
    line = ["ip", "netns", "exec", gateway.place.name, *DROP, *gateway.line]
    environment = {**os.environ, "FYNX_RUN_DIR": str(gateway.folder / "run")}
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=30, env=environment)


@pytest.mark.parametrize("what", ["ports", "device"])
def test_a_missing_privilege_is_exit_code_4_with_the_line_to_run(world: World, left: Gateway, what: str) -> None:
    if what == "device":
        host: dict[str, Any] = left.site["host"]
        host["transport"] = {"udp": {"ports": [15000, 14500]}}
    done = without_privileges(left)
    assert done.returncode == 4, done.stderr
    assert {"ports": "UDP port 500", "device": "fynx0"}[what] in done.stderr
    assert "try: sudo " in done.stderr
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
