"""Row C22 with strongSwan, whose libipsec carries tunnels alone: who asks for transport mode gets none, and is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lab.charon import Refused
from lab.pair import Pair
from lab.plan import Plan
from lab.topology import OUTER
from lab.wait import until

BARE = {"policies": "no"}
"""libipsec cannot route what goes to the address of its peer into its tunnel."""
HOSTS = Plan().with_networks((f"{OUTER[0]}/32",), (f"{OUTER[1]}/32",))


def test_c22_fynx_asks_and_takes_the_tunnel_back_that_it_gets(pair: Callable[..., Pair]) -> None:
    """SA, TSi, TSr, N(USE_TRANSPORT_MODE) --> <-- SA, TSi, TSr; D(ESP) --> (RFC 7296 section 1.3.1)."""
    both = pair("fynx", "strongswan", plans=[HOSTS], fynx_child={"mode": "transport"}, strongswan_child=BARE)
    with both.charon.listening() as heard:
        with pytest.raises(Refused, match="declined transport mode"):
            both.left.up(HOSTS)
        until(lambda: "received DELETE for ESP CHILD_SA" in both.charon.log(), "strongSwan hears the DELETE")
        until(lambda: not both.right.children(HOSTS), "strongSwan has let go of it")
    assert "N(USE_TRANSP)" in heard[0]
    assert both.left.established(HOSTS)
    assert not both.left.children(HOSTS)


def test_c22_strongswan_asks_and_gets_a_tunnel_of_which_fynx_speaks(pair: Callable[..., Pair]) -> None:
    both = pair("strongswan", "fynx", plans=[HOSTS], strongswan_child={"mode": "transport", **BARE})
    with both.charon.listening() as heard:
        both.left.up(HOSTS)
    assert "N(USE_TRANSP)" in heard[0]
    until(lambda: both.right.children(HOSTS), "the child stands")
    until(lambda: "asks for transport mode" in both.fynx.log(), "Fynx says what it made of it")
    peers = both.fynx.status()["peers"]
    assert [child["mode"] for peer in peers for child in peer["children"]] == ["tunnel"]
