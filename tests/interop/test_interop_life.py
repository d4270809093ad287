"""The end of an SA with strongSwan: deletion from either side, daemons that end, and peers that vanish."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lab import shark
from lab.pair import ROLES, Pair
from lab.topology import OUTER, inner
from lab.wait import until

QUICK = {"liveness_s": 0.5, "retransmission": {"base_s": 0.2, "tries": 5}}
QUICK_STRONGSWAN = {"retransmit_timeout": "0.2", "retransmit_tries": "3", "retransmit_base": "1.5"}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("who", ["initiator", "responder"])
def test_deleted_ike_sa_is_gone_on_both_sides(pair: Callable[..., Pair], role: str, who: str) -> None:
    """INFORMATIONAL { D(IKE) } --> <-- { } (RFC 7296 section 1.4.1)."""
    both = pair(*ROLES[role])
    both.left.up(both.plan)
    both.both_have()
    deleter = both.left if who == "initiator" else both.right
    with both.charon.listening() as heard:
        deleter.down(both.plan)
        both.both_lost()
    direction = "generating" if deleter is both.charon else "parsed"
    assert f"{direction} INFORMATIONAL request" in heard[0]
    assert "[ D ]" in heard[0]
    assert both.silent()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("who", ["initiator", "responder"])
def test_deleted_child_is_gone_and_the_ike_sa_stays(pair: Callable[..., Pair], role: str, who: str) -> None:
    """INFORMATIONAL { D(ESP, SPI) } --> <-- { D(ESP, SPI of the other direction) }."""
    both = pair(*ROLES[role])
    both.left.up(both.plan)
    both.both_have()
    (both.left if who == "initiator" else both.right).down(both.plan, "lan")
    until(lambda: not both.left.children(both.plan) and not both.right.children(both.plan), "the child is gone")
    assert both.left.established(both.plan)
    assert both.right.established(both.plan)
    both.left.up(both.plan, "lan")
    both.both_have()
    assert both.ping() == 3


@pytest.mark.parametrize("role", ROLES)
def test_a_tunnel_comes_up_again_after_deletion(pair: Callable[..., Pair], role: str) -> None:
    both = pair(*ROLES[role])
    for _ in range(3):
        both.left.up(both.plan)
        both.both_have()
        assert both.ping(count=1) == 1
        both.left.down(both.plan)
        both.both_lost()


@pytest.mark.parametrize("role", ROLES)
def test_stopping_fynx_tells_strongswan(pair: Callable[..., Pair], role: str) -> None:
    """SIGTERM: a DELETE is sent, and the process ends by itself."""
    both = pair(*ROLES[role])
    both.left.up(both.plan)
    both.both_have()
    both.fynx.stop()
    until(lambda: both.charon.ike_sa_count() == 0, "strongSwan has let go of it")
    assert "received DELETE for IKE_SA" in both.charon.log()


@pytest.mark.parametrize("role", ROLES)
def test_stopping_strongswan_tells_fynx(pair: Callable[..., Pair], role: str) -> None:
    both = pair(*ROLES[role])
    both.left.up(both.plan)
    both.both_have()
    both.charon.stop()
    until(lambda: "the peer deleted the IKE SA" in both.fynx.log(), "Fynx was told")
    assert not both.fynx.established(both.plan)


@pytest.mark.parametrize("role", ROLES)
def test_fynx_notices_that_strongswan_was_killed(pair: Callable[..., Pair], role: str) -> None:
    """SIGKILL, no DELETE: liveness checks go unanswered and the IKE SA is given up (RFC 7296 section 2.4)."""
    both = pair(*ROLES[role], fynx_peer=QUICK)
    both.left.up(both.plan)
    both.both_have()
    both.charon.kill()
    until(lambda: not both.fynx.established(both.plan), "Fynx notices")
    assert both.fynx.children(both.plan) == {}


@pytest.mark.parametrize("role", ROLES)
def test_strongswan_notices_that_fynx_was_killed(pair: Callable[..., Pair], role: str) -> None:
    both = pair(*ROLES[role], strongswan=QUICK_STRONGSWAN, strongswan_peer={"dpd_delay": "1s"})
    both.left.up(both.plan)
    both.both_have()
    until(lambda: both.charon.log().count("parsed INFORMATIONAL response") >= 2, "Fynx answers liveness checks")
    both.fynx.kill()
    until(lambda: both.charon.ike_sa_count() == 0, "strongSwan notices")


@pytest.mark.parametrize("role", ROLES)
def test_killed_strongswan_comes_back_and_replaces_the_old_sa(pair: Callable[..., Pair], role: str) -> None:
    """INITIAL_CONTACT of the new process ends what the old one left at Fynx, long before liveness would."""
    both = pair(*ROLES[role])
    both.left.up(both.plan)
    before, _ = both.both_have()
    both.charon.kill()
    both.charon.start()
    both.charon.load(both.plan, both.fynx.host)
    both.charon.up(both.plan)
    after, _ = both.both_have()
    assert after["lan"].spi_in != before["lan"].spi_in
    assert [peer["state"] for peer in both.fynx.status()["peers"]] == ["established"]
    assert both.ping() == 3


def test_nothing_leaves_in_clear_whatever_happens_to_the_peer_or_to_fynx(pair: Callable[..., Pair]) -> None:
    """Left's default route leads to the router, where a leak would be seen."""
    both = pair("fynx", "strongswan", topology="left_behind_nat", fynx_peer=QUICK)
    with both.capture() as capture:
        assert both.silent()
        both.left.up(both.plan)
        both.both_have()
        assert both.ping() == 3
        both.charon.kill()
        assert both.silent()
        until(lambda: not both.fynx.established(both.plan), "Fynx notices")
        assert both.silent()
        both.fynx.kill()
        assert both.silent()
    assert capture.esp()
    assert shark.octets(inner(0), inner(1)) not in capture.octets
    assert shark.octets(OUTER[0], inner(1)) not in capture.octets


def test_killed_fynx_comes_back_and_replaces_the_old_sa(pair: Callable[..., Pair]) -> None:
    """INITIAL_CONTACT of the new process ends what the old one left at strongSwan (RFC 7296 section 2.4)."""
    both = pair("fynx", "strongswan")
    both.left.up(both.plan)
    both.both_have()
    both.fynx.kill()
    both.fynx.start()
    both.left.up(both.plan)
    both.both_have()
    until(lambda: both.charon.ike_sa_count() == 1, "only the new IKE SA is left")
    assert both.ping() == 3
