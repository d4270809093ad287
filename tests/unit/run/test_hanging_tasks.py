"""``fynx run`` with a plugin whose task never returns: broken off, named, left out, and the tunnels come up (row L13).

Two hosts, two processes, UDP on loopback; the one that hangs serves another peer as well.
"""

from __future__ import annotations

import pytest

from tests.unit.run.processes import Site, free_port, peer, site  # noqa: F401  the fixture

HANGS = {
    "swallows": "while True:\n            try:\n                while True: pass\n            except Exception: pass",
    "sleeps": "import time; time.sleep(100000)",
}
PLUGIN = '''
"""A task that does not return."""

from fynx.plugin import Extension, TaskSpec, hookimpl

FYNX_API = 1


class Hang:
    def build(self, out):
        pass

    def process(self, message):
        {how}


@hookimpl
def fynx_extensions():
    return [Extension("stuck", (), (TaskSpec("hang", 35, 350, lambda view, _: Hang()),))]
'''


@pytest.mark.parametrize("how", HANGS)
def test_L13_a_task_that_never_returns_is_broken_off_named_and_left_out(site: Site, how: str) -> None:  # noqa: F811
    plugin = site.plugin("stuck", PLUGIN.format(how=HANGS[how]))
    left, right = free_port(), free_port()
    site.run(site.write("right", right, {"left": peer("left", "right", left, "none")}))
    site.run(site.write("left", left, {"right": peer("right", "left", right, "initiate")}), "-p", str(plugin))
    site.wait_for("left", "is running")
    site.ask("up", "right", "--name", "left", "--timeout", "40")
    told = site.ask("status", "--name", "left")
    assert told["peers"][0]["state"] == "established"
    assert told["plugins"]["stuck"]["peers"] == ["right"]
    assert "task hang.process of plugin stuck did not return within 2 s" in told["plugins"]["stuck"]["why"]
    assert told["counters"]["stuck.task hang.process.hung"] == 1
    site.wait_for("left", f"plugin stuck: task hang.process did not return within 2 s and is broken off ({plugin}:")
    site.ask("rekey", "right", "--name", "left")
