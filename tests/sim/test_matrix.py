"""Every exchange in every state, in both roles, valid and not: what is answered, and that the rest changes nothing.

The rows come from the tables of the program; a state or an exchange without a row fails the first tests.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from fynx.events import PluginFailed
from fynx.ike.effects import CheckLiveness, Initiate, Rekey, Terminate, TerminateChild
from fynx.ike.negotiate import offer_ike
from fynx.ike.states import ChildState, IkeState
from fynx.ike.tasks import CORE
from fynx.plugin import Expire, Path
from fynx.wire.header import parse_header
from fynx.wire.iana import NotifyType, PayloadType, Protocol
from fynx.wire.payload import DeletePayload, KePayload, NoncePayload, NotifyPayload, Payload, SaPayload
from tests.sim.forge import AUTH, CREATE, INFO, INIT, ROLES, SPI, Bench, Script, child_request, notifies
from tests.sim.rig import ALICE, BOB, IKE
from tests.sim.test_rows_rekey import request as rekey_request
from tests.unit.ike.algorithms import ALGORITHMS

EXCHANGES = (INIT, AUTH, CREATE, INFO)
DIRECTIONS = ("request", "response")
VALID, CLEAR, FORGED, OTHER_ID = "valid", "in clear", "forged", "another id"
Key = tuple[IkeState, str]


def peer_of(bench: Bench) -> str:
    return next(iter(bench.node.endpoint.peers.by_name))


def init_sent(role: str) -> Bench:
    bench = Bench(role)
    bench.node.command(Initiate("bob", Path(ALICE, 500, BOB, 500)))
    bench.world.run(0.1)
    bench.script.spi_i = parse_header(bench.script.inbox[0]).spi_i
    return bench


def idle(role: str) -> Bench:
    """Its first message is being worked on."""
    bench = Bench(role, work_s=1000.0)
    bench.script.begin()
    (found,) = bench.node.endpoint.sas.values()
    bench.script.spi_r, bench.script.next_id = found.spi_r, 1
    return bench


def init_done(role: str) -> Bench:
    bench = Bench(role)
    bench.started()
    return bench


def auth_sent(role: str) -> Bench:
    bench = Bench(role)
    bench.authenticating()
    return bench


def established(role: str) -> Bench:
    bench = Bench(role)
    bench.established()
    return bench


def rekeying(role: str) -> Bench:
    bench = established(role)
    bench.node.command(Rekey(peer_of(bench)))
    bench.world.run(0.1)
    return bench


def deleting(role: str) -> Bench:
    bench = established(role)
    bench.node.command(Terminate(peer_of(bench)))
    bench.world.run(0.1)
    return bench


def deleted(role: str) -> Bench:
    bench = established(role)
    bench.script.request(INFO, [DeletePayload(Protocol.IKE, ())])
    return bench


MAKERS: dict[Key, Callable[[str], Bench]] = {
    (IkeState.IDLE, "responder"): idle,
    (IkeState.INIT_SENT, "initiator"): init_sent,
    (IkeState.INIT_DONE, "responder"): init_done,
    (IkeState.AUTH_SENT, "initiator"): auth_sent,
    **{(IkeState.ESTABLISHED, role): established for role in ROLES},
    **{(IkeState.REKEYING, role): rekeying for role in ROLES},
    **{(IkeState.DELETING, role): deleting for role in ROLES},
    **{(IkeState.DELETED, role): deleted for role in ROLES},
}
UNSEEN: dict[Key, str] = {
    (IkeState.IDLE, "initiator"): "its first message is built at once",
    (IkeState.INIT_SENT, "responder"): "a responder sends no request before IKE_AUTH",
    (IkeState.INIT_DONE, "initiator"): "its IKE_AUTH request is begun at once",
    (IkeState.AUTH_SENT, "responder"): "a responder sends no request before IKE_AUTH",
}
STANDS = (IkeState.ESTABLISHED, IkeState.REKEYING, IkeState.DELETING)
ANSWERED = {
    (IkeState.INIT_DONE, AUTH),
    *product(STANDS, (CREATE, INFO)),
}
"""Valid requests that are answered: state and exchange. All others leave no trace."""
AWAITED = {
    (IkeState.INIT_SENT, INIT): IkeState.AUTH_SENT,
    (IkeState.AUTH_SENT, AUTH): IkeState.ESTABLISHED,
    (IkeState.REKEYING, CREATE): IkeState.ESTABLISHED,
    (IkeState.DELETING, INFO): IkeState.DELETED,
}
"""Valid responses that are waited for, and the state after them."""
STRANGE = (IkeState.INIT_SENT, IkeState.DELETED)
"""States in which a pair of SPIs is not, or no longer, known: a request may be told INVALID_IKE_SPI."""
CELLS = [(*key, *rest) for key, *rest in product(MAKERS, EXCHANGES, DIRECTIONS)]


def test_every_state_in_each_role_and_every_exchange_has_a_row() -> None:
    assert MAKERS.keys() | UNSEEN.keys() == set(product(IkeState, ROLES))
    assert not MAKERS.keys() & UNSEEN.keys()
    assert {spec.number for spec in CORE.exchanges} == set(EXCHANGES)
    assert set(CHILD_MAKERS) | {ChildState.CREATED} == set(ChildState)  # CREATED: installed and told at once


@pytest.mark.parametrize(("state", "role"), MAKERS)
def test_the_state_of_the_row_is_that_of_the_node(state: IkeState, role: str) -> None:
    bench = MAKERS[state, role](role)
    assert bench.state() == ("" if state is IkeState.DELETED else state.value)


def payloads(bench: Bench, exchange: int, direction: str) -> list[Payload]:
    if exchange == INIT:
        return bench.script.init_payloads()
    if exchange == AUTH:
        return bench.script.auth_payloads()
    if exchange == CREATE:
        return child_request(bench.script) if direction == "request" else [NotifyPayload(NotifyType.TEMPORARY_FAILURE)]
    return []


def message(bench: Bench, exchange: int, direction: str, kind: str) -> bytes:
    """Of the right id; sealed where the exchange and the state have keys."""
    script, response = bench.script, direction == "response"
    found = next(iter(bench.node.endpoint.sas.values()), None)
    message_id = script.next_id
    if response:
        flight = found.window.in_flight if found is not None else None
        message_id = flight.message_id if flight is not None else found.window.next_request if found is not None else 1
    if kind == OTHER_ID:
        message_id += 7
    if exchange == INIT:
        return script.clear(INIT, payloads(bench, INIT, direction), message_id, response=response)
    if kind == CLEAR:
        return script.clear(exchange, [NotifyPayload(NotifyType.INVALID_SYNTAX)], message_id, response=response)
    if script.keys is None:
        return script.clear_raw(exchange, PayloadType.SK, b"\0\0\0\x40" + bytes(60), message_id, response=response)
    data = script.sealed(exchange, payloads(bench, exchange, direction), message_id, response=response)
    return data[:-1] + bytes((data[-1] ^ 1,)) if kind == FORGED else data


@pytest.mark.parametrize(("state", "role", "exchange", "direction"), CELLS)
@pytest.mark.parametrize("kind", [CLEAR, FORGED, OTHER_ID])
def test_what_is_not_valid_changes_nothing(
    state: IkeState, role: str, exchange: int, direction: str, kind: str
) -> None:
    bench = MAKERS[state, role](role)
    data = message(bench, exchange, direction, kind)
    if exchange == INIT and kind != OTHER_ID:
        data = data[:-1]  # no message of this exchange is protected: it is cut short instead
    before, sent = bench.picture(), len(bench.node.sent)
    bench.script.send(data)
    told = [parse_header(one) for one in bench.node.sent[sent:]]
    # At most a hint in clear to a stranger, or our own liveness check (sections 2.21.4, 1.5).
    assert all(one.exchange == INFO and not one.response for one in told) or state in STRANGE
    if not told:
        assert bench.picture() == before
    assert bench.events(PluginFailed) == []
    assert bench.state() == ("" if state is IkeState.DELETED else state.value)


@pytest.mark.parametrize(("state", "role", "exchange", "direction"), CELLS)
def test_what_is_valid_is_answered_where_the_table_says_so(
    state: IkeState, role: str, exchange: int, direction: str
) -> None:
    bench = MAKERS[state, role](role)
    script = bench.script
    if (state, exchange, direction) == (IkeState.INIT_SENT, INIT, "response"):
        script.respond_init(script.hear(script.one()))
        assert bench.state() == IkeState.AUTH_SENT.value
        return
    data = message(bench, exchange, direction, VALID)
    before, sent = bench.picture(), len(bench.node.sent)
    script.received()
    script.send(data)
    told = [one for one in map(parse_header, bench.node.sent[sent:]) if one.response]
    assert bench.events(PluginFailed) == []
    if direction == "response" and (state, exchange) in AWAITED:
        after = AWAITED[state, exchange]
        assert bench.state() == ("" if after is IkeState.DELETED else after.value)
        return
    if direction == "request" and (state, exchange) in ANSWERED:
        assert [(one.exchange, one.message_id) for one in told] == [(exchange, script.next_id)]
        assert bench.state() == (IkeState.ESTABLISHED.value if exchange == AUTH else state.value)
        return
    if told:  # INVALID_IKE_SPI, to a stranger
        assert state in STRANGE
    assert bench.picture() == before


# What the two exchanges of a standing IKE SA may ask.


def new_ike_sa(script: Script) -> list[Payload]:
    public = ALGORITHMS.key_exchanges[31].start(script.world._random.randbytes).public
    return [SaPayload(offer_ike(IKE[:1], b"new ours")), NoncePayload(b"N" * 32), KePayload(31, public)]


REQUESTS: dict[str, tuple[int, Callable[[Script], list[Payload]]]] = {
    "a child": (CREATE, child_request),
    "a rekey of the child": (CREATE, rekey_request),
    "a rekey of the IKE SA": (CREATE, new_ike_sa),
    "a DELETE of the child": (INFO, lambda _: [DeletePayload(Protocol.ESP, (SPI,))]),
    "a DELETE of the IKE SA": (INFO, lambda _: [DeletePayload(Protocol.IKE, ())]),
    "a notification": (INFO, lambda _: [NotifyPayload(40000, b"of no meaning")]),
    "nothing": (INFO, lambda _: []),
}
PUT_OFF = {
    *((IkeState.DELETING, name) for name, (exchange, _) in REQUESTS.items() if exchange == CREATE),
    (IkeState.REKEYING, "a child"),
    (IkeState.REKEYING, "a rekey of the child"),
}
"""What is answered with TEMPORARY_FAILURE (RFC 7296 section 2.25.2); one of the IKE SA beside ours is a collision."""


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("state", STANDS)
def test_what_a_standing_ike_sa_answers(state: IkeState, name: str, role: str) -> None:
    bench = MAKERS[state, role](role)
    script, (exchange, make) = bench.script, REQUESTS[name]
    script.received()
    before = len(bench.node.plane.children)
    answer = script.request(exchange, make(script))
    assert notifies(answer) == ([NotifyType.TEMPORARY_FAILURE] if (state, name) in PUT_OFF else [])
    assert bench.events(PluginFailed) == []
    if name == "a DELETE of the IKE SA":
        assert (bench.state(), len(bench.node.plane.children), answer) == ("", 0, ())
        return
    granted = exchange == CREATE and (state, name) not in PUT_OFF
    assert bool([one for one in answer if isinstance(one, SaPayload)]) is granted
    more = {"a DELETE of the child": -1, "a child": granted, "a rekey of the child": granted}.get(name, 0)
    assert len(bench.node.plane.children) == before + more


# Child SAs.


def busy(bench: Bench) -> None:
    """Our window is taken: what comes next waits."""
    bench.node.command(CheckLiveness(peer_of(bench)))


def child_active(bench: Bench) -> None:
    pass


def child_rekeying(bench: Bench) -> None:
    bench.node.command(Rekey(peer_of(bench), "lan"))


def child_rekeyed(bench: Bench) -> None:
    bench.script.request(CREATE, rekey_request(bench.script))


def child_expired(bench: Bench) -> None:
    busy(bench)
    (handle,) = bench.node.plane.children
    bench.node.endpoint.expired(bench.world.now, Expire(handle, hard=True, reason="bytes"))
    bench.node.pump()


def child_deleting(bench: Bench) -> None:
    bench.node.command(TerminateChild(peer_of(bench), "lan"))


def child_deleted(bench: Bench) -> None:
    bench.script.request(INFO, [DeletePayload(Protocol.ESP, (SPI,))])


CHILD_MAKERS: dict[ChildState, Callable[[Bench], None]] = {
    ChildState.ACTIVE: child_active,
    ChildState.REKEYING: child_rekeying,
    ChildState.REKEYED: child_rekeyed,
    ChildState.EXPIRED: child_expired,
    ChildState.DELETING: child_deleting,
    ChildState.DELETED: child_deleted,
}
REFUSED = {
    ChildState.REKEYED: [NotifyType.TEMPORARY_FAILURE],
    ChildState.EXPIRED: [NotifyType.TEMPORARY_FAILURE],
    ChildState.DELETING: [NotifyType.TEMPORARY_FAILURE],
    ChildState.DELETED: [NotifyType.CHILD_SA_NOT_FOUND],
}
"""What a rekey of a child in this state is answered with; none: it is made."""
SILENT_HALF = (ChildState.DELETING, ChildState.DELETED)
"""States in which a DELETE is answered without our half (section 1.4.1)."""


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("state", CHILD_MAKERS)
def test_a_rekey_of_a_child_in_each_state(state: ChildState, role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    CHILD_MAKERS[state](bench)
    bench.world.run(0.1)
    script.received()
    assert child_states(bench)[:1] == ([] if state is ChildState.DELETED else [state])
    answer = script.request(CREATE, rekey_request(script, new=b"\x41\x42\x43\x44"))
    assert notifies(answer) == REFUSED.get(state, [])
    assert bench.events(PluginFailed) == []


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("state", CHILD_MAKERS)
def test_a_delete_of_a_child_in_each_state(state: ChildState, role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    (own,) = (one.spec.spi_in for one in bench.node.plane.children.values())
    CHILD_MAKERS[state](bench)
    bench.world.run(0.1)
    script.received()
    answer = script.request(INFO, [DeletePayload(Protocol.ESP, (SPI,))])
    half = () if state in SILENT_HALF else (DeletePayload(Protocol.ESP, (own.to_bytes(4, "big"),)),)
    assert answer == half
    assert len(child_states(bench)) == (state is ChildState.REKEYED)
    assert bench.events(PluginFailed) == []


def child_states(bench: Bench) -> list[ChildState]:
    return [child.state for sa in bench.node.endpoint.sas.values() for child in sa.children.values()]
