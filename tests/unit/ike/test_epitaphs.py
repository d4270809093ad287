"""The last response of a closed SA comes again when its request does (RFC 7296 section 2.1)."""

from __future__ import annotations

from fynx.ike.effects import Terminate, Transmit
from fynx.ike.epitaphs import KEPT_S
from fynx.plugin import Path
from tests.unit.ike.pair import LEFT, RIGHT, Pair

BACK = Path(RIGHT, 4500, LEFT, 4500)


def deletion(pair: Pair) -> tuple[bytes, bytes]:
    """SK {D} --> <-- SK {}: the request of left and the response of right."""
    pair.left.effects.clear()
    pair.right.effects.clear()
    pair.left.endpoint.command(1.0, Terminate("right"))
    pair.settle()
    (request,) = [one.data for one in pair.left.effects if isinstance(one, Transmit)]
    (response,) = [one.data for one in pair.right.effects if isinstance(one, Transmit)]
    return request, response


def heard(pair: Pair, now: float, data: bytes) -> list[bytes]:
    pair.right.endpoint.datagram(now, BACK, data)
    return [one.data for one in pair.right.endpoint.effects() if isinstance(one, Transmit)]


def test_a_repeated_delete_gets_the_answer_of_the_sa_that_is_gone() -> None:
    pair = Pair()
    pair.up()
    request, response = deletion(pair)
    assert pair.right.endpoint.snapshot() == ()
    assert heard(pair, 2.0, request) == [response]


def test_another_request_to_a_closed_sa_gets_no_answer_of_it() -> None:
    pair = Pair()
    pair.up()
    request, response = deletion(pair)
    forged = request[:-1] + bytes((request[-1] ^ 1,))
    assert response not in heard(pair, 2.0, forged)
    assert pair.right.endpoint.counters()["drop_unknown_spi"] == 1


def test_it_is_forgotten_after_a_while() -> None:
    pair = Pair()
    pair.up()
    request, response = deletion(pair)
    assert response not in heard(pair, 2.0 + KEPT_S, request)
