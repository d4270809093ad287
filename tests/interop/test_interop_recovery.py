"""With strongSwan: what follows when it dies or deletes, traps, idle children, and reloads under traffic."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from lab.pair import Pair
from lab.plan import Plan, networks
from lab.stream import stream
from lab.wait import until

QUICK: dict[str, object] = {"liveness_s": 0.5, "retransmission": {"base_s": 0.2, "tries": 5}}
NEVER_S = 2.5
"""Longer than Fynx waits before it calls again."""


def came_up(both: Pair) -> Pair:
    both.left.up(both.plan)
    both.both_have()
    return both


def killed_and_back(both: Pair) -> None:
    both.charon.kill()
    until(lambda: not both.fynx.established(both.plan), "Fynx notices")
    both.charon.start()
    both.charon.load(both.plan, both.fynx.host, dials=True)


def test_on_dead_restart_brings_the_tunnel_back_by_itself(pair: Callable[..., Pair]) -> None:
    both = came_up(pair("fynx", "strongswan", fynx_peer={**QUICK, "on_dead": "restart"}))
    killed_and_back(both)
    until(lambda: both.fynx.established(both.plan), "the tunnel is back")
    both.both_have()
    assert both.ping() == 3


@pytest.mark.parametrize("on_dead", ["trap", "clear"])
def test_on_dead_trap_waits_for_a_packet_and_clear_for_people(pair: Callable[..., Pair], on_dead: str) -> None:
    both = came_up(pair("fynx", "strongswan", fynx_peer={**QUICK, "on_dead": on_dead}))
    killed_and_back(both)
    time.sleep(NEVER_S)
    assert both.charon.ike_sa_count() == 0
    both.silent()
    if on_dead == "clear":
        time.sleep(NEVER_S)
        assert both.charon.ike_sa_count() == 0
        both.left.up(both.plan)
    both.both_have()
    assert both.ping() == 3


@pytest.mark.parametrize("child", ["lan", ""], ids=["child", "ike"])
@pytest.mark.parametrize("on_close", ["restart", "trap", "none"])
def test_on_close_says_what_follows_when_strongswan_deletes(
    pair: Callable[..., Pair], on_close: str, child: str
) -> None:
    both = came_up(pair("fynx", "strongswan", fynx_peer={"on_close": on_close}))
    (before,) = both.fynx.children(both.plan).values()
    both.charon.down(both.plan, child)
    if on_close != "restart":
        time.sleep(NEVER_S)
        assert both.fynx.children(both.plan) == {}
        both.silent()
    if on_close == "none":
        time.sleep(NEVER_S)
        assert both.fynx.children(both.plan) == {}
        return
    (after,) = both.both_have()[0].values()
    assert after.spi_in != before.spi_in
    assert both.ping() == 3


def test_a_trap_comes_up_with_the_first_packet(pair: Callable[..., Pair]) -> None:
    """TSi and TSr begin with the packet's own selectors (RFC 7296 section 2.9): strongSwan takes them."""
    both = pair("fynx", "strongswan", fynx_peer={"start": "trap"})
    assert both.charon.ike_sa_count() == 0
    both.silent()
    left, _ = both.both_have()
    assert left["lan"].remote == (networks(both.plan.children[0], 1)[0],)
    assert both.ping() == 3


def test_an_idle_child_is_deleted_and_traffic_brings_it_back(pair: Callable[..., Pair]) -> None:
    both = came_up(pair("fynx", "strongswan", fynx_child={"inactivity_s": 10, "start": "trap"}))
    for _ in range(12):
        assert both.ping(count=1) == 1
        time.sleep(1)
    assert len(both.fynx.children(both.plan)) == 1
    until(lambda: not both.charon.children(both.plan), "the idle child is gone")
    assert both.charon.established(both.plan), "the IKE SA stays"
    both.silent()
    both.both_have()


def changed(both: Pair, change: Callable[[dict[str, Any]], None]) -> None:
    """Edits Fynx's file and reloads it."""
    site = yaml.safe_load(both.fynx.file.read_text())
    change(site["peers"][both.plan.name])
    both.fynx.file.write_text(yaml.safe_dump(site, sort_keys=False))
    done = both.fynx.command("reload")
    assert done.returncode == 0, done.stderr


def test_reloads_under_traffic_lose_no_packet(pair: Callable[..., Pair]) -> None:
    plan = Plan().with_esp("aes128gcm16", "aes256gcm16")
    both = came_up(pair("fynx", "strongswan", plans=[plan]))
    ends = [networks(both.plan.children[0], side)[0].split("/")[0] for side in (0, 1)]
    with stream(both.topology.left.namespace, ends[0], both.topology.right.namespace, ends[1]) as counted:
        (before,) = both.fynx.children(both.plan).values()
        changed(both, lambda peer: peer.update(liveness_s=44))
        (same,) = both.both_have()[0].values()
        assert same.spi_in == before.spi_in
        changed(both, lambda peer: peer["children"]["lan"].update(esp=["aes256gcm16"]))
        until(lambda: both.fynx.esp_suite(both.plan) == "aes256gcm16", "the child is rekeyed")
        both.both_have()
        time.sleep(1)
    assert counted.lost == []
    assert both.charon.ike_sa_count() == 1
