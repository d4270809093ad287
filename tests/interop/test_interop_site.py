"""What people do first: ``fynx init`` with its swanctl.conf, the command line, defaults on both sides."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from lab import traffic
from lab.charon import Charon, Refused
from lab.fynxd import Fynx
from lab.need import SBIN
from lab.netns import run
from lab.pair import ROLES, Pair
from lab.plan import Plan
from lab.topology import Topology, direct, inner
from lab.wait import until


@pytest.fixture
def world() -> Iterator[Topology]:
    with direct() as topology:
        yield topology


def test_what_init_writes_makes_a_tunnel_with_strongswan(world: Topology, tmp_path: Path) -> None:
    """``fynx init``, its swanctl.conf loaded by swanctl itself, ``fynx run``: the tunnel comes up by itself."""
    folders = [tmp_path / name for name in ("left", "right")]
    for folder in folders:
        folder.mkdir()
    fynx, charon = Fynx(world.left, folders[0], {}, {}), Charon(world.right, folders[1], {})
    nets = ("--local-net", f"{inner(0)}/32", "--remote-net", f"{inner(1)}/32")
    written = fynx.bare(
        "init",
        "-o",
        str(fynx.file),
        "--swanctl",
        str(folders[1] / "swanctl.conf"),
        "--peer",
        "hq",
        "--remote-address",
        world.right.address,
        *nets,
    )
    assert written.returncode == 0, written.stderr
    with ExitStack() as stack:
        stack.callback(charon.stop)
        charon.start()
        _swanctl(folders[1])
        stack.callback(fynx.stop)
        fynx.launch()
        until(lambda: fynx.children(replace(Plan(), name="hq")), "the tunnel comes up by itself, with its child")
        assert traffic.ping(world.left.namespace, inner(0), inner(1)) == 3


def _swanctl(folder: Path) -> None:
    """``swanctl --load-all`` from a copy of the program: Debian's AppArmor profile confines the original to /etc."""
    original = shutil.which("swanctl", path=SBIN)
    assert original is not None
    copy = shutil.copy2(original, folder / "swanctl")
    said = run(
        "env",
        f"SWANCTL_DIR={folder}",
        f"STRONGSWAN_CONF={folder}/strongswan.conf",
        copy,
        "--load-all",
        "--file",
        str(folder / "swanctl.conf"),
        "--uri",
        f"unix://{folder}/vici",
    )
    assert "loaded 1 connections, 0 unloaded" in said or "successfully loaded 1 connections" in said, said


def test_command_line_brings_a_tunnel_up_shows_it_and_takes_it_down(pair: Callable[..., Pair]) -> None:
    both = pair("fynx", "strongswan")
    up = both.fynx.command("up", both.plan.name)
    assert (up.returncode, up.stdout) == (0, "")
    status = both.fynx.command("status", "--json")
    assert status.returncode == 0
    found = json.loads(status.stdout)
    assert next(iter(found)) == "schema"
    assert found["schema"] == "fynx.status/1"
    (peer,) = found["peers"]
    assert (peer["name"], peer["state"], peer["remote_id"]) == (both.plan.name, "established", "right.test")
    assert both.plan.name in both.fynx.command("status").stdout
    assert both.fynx.command("down", both.plan.name).returncode == 0
    both.both_lost()


def test_command_line_fails_with_the_reason_and_exit_code_1(pair: Callable[..., Pair]) -> None:
    other = replace(Plan(), secret="another-secret-of-32-octets-long")
    both = pair("fynx", "strongswan", right_plans=[other])
    up = both.fynx.command("up", both.plan.name)
    assert up.returncode == 1
    assert re.match(r"FYNX-2001: \S+: .*AUTHENTICATION_FAILED.*\n    try: ", up.stderr)
    assert up.stdout == ""


@pytest.mark.parametrize("role", ROLES)
def test_defaults_of_both_sides_agree(pair: Callable[..., Pair], role: str) -> None:
    """No proposals on either side, MOBIKE and all else of strongSwan as it comes."""
    plan = replace(Plan(), ike=()).with_esp()
    both = pair(*ROLES[role], plans=[plan], strongswan_peer={"mobike": "yes"})
    both.left.up(plan)
    both.both_have()
    assert both.ping() == 3
    assert both.ping(back=True) == 3


@pytest.mark.parametrize("role", ROLES)
def test_encapsulation_only_where_needed_meets_a_peer_that_forces_it(pair: Callable[..., Pair], role: str) -> None:
    """``encap: auto``: strongSwan's libipsec always claims a NAT, so ESP goes in UDP all the same."""
    both = pair(*ROLES[role], fynx_peer={"encap": "auto"})
    both.left.up(both.plan)
    both.both_have()
    assert both.ping() == 3
    assert both.ping(back=True) == 3


def test_both_ends_may_start_by_themselves(pair: Callable[..., Pair]) -> None:
    """``start: initiate`` here and an initiation there at the same moment: traffic passes, whoever wins."""
    both = pair("fynx", "strongswan", fynx_peer={"start": "initiate"})
    with suppress(Refused):  # strongSwan says so when Fynx was first
        both.charon.up(both.plan)
    until(lambda: both.ping(count=1, wait_s=1) == 1, "an echo returns")
    assert both.ping(back=True) == 3
    assert both.ping() == 3


def test_traffic_itself_brings_the_tunnel_up(pair: Callable[..., Pair]) -> None:
    """``start: trap``: the first packet asks for the child."""
    both = pair("fynx", "strongswan", fynx_child={"start": "trap"})
    assert not both.fynx.established(both.plan)
    until(lambda: both.ping(count=1, wait_s=1) == 1, "an echo returns")
    assert both.ping(back=True) == 3


@pytest.mark.parametrize("role", ROLES)
def test_a_road_warrior_sends_everything_through_the_tunnel(pair: Callable[..., Pair], role: str) -> None:
    """0.0.0.0/0 behind the right end, a NAT on the way: the tunnel's own packets do not go into the tunnel."""
    plan = Plan().with_networks((f"{inner(0)}/32",), ("0.0.0.0/0",))
    both = pair(*ROLES[role], topology="left_behind_nat", plans=[plan])
    both.left.up(plan)
    both.both_have()
    hosts = both.topology
    assert traffic.ping(hosts.left.namespace, inner(0), inner(1, 3)) == 3
    assert traffic.ping(hosts.right.namespace, inner(1, 3), inner(0)) == 3
    sent, arrived = traffic.transfer(hosts.left.namespace, inner(0), hosts.right.namespace, inner(1), size=300_000)
    assert sent == arrived
    both.left.down(plan)
    both.both_lost()
