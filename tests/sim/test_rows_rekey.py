"""Bad inputs C6, C7, C8, C10, C14, C15, S3, S6: what a peer may get wrong when SAs are replaced."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fynx.ike.effects import Rekey
from fynx.ike.keymat import expand_ike, rekey_skeyseed
from fynx.ike.negotiate import offer_ike
from fynx.ike.protect import Protector
from fynx.wire.header import parse_header
from fynx.wire.iana import NotifyType, Protocol
from fynx.wire.payload import DeletePayload, KePayload, NoncePayload, NotifyPayload, Payload, SaPayload, TsPayload
from tests.sim.crossings import calm, stand, two
from tests.sim.forge import (
    AUTH,
    CREATE,
    INFO,
    ROLES,
    SPI,
    Bench,
    Script,
    child_request,
    errors,
    notifies,
)
from tests.sim.invariants import keys_reused, violations
from tests.sim.rig import IKE, lan, mirrored, network, peer_of_alice, peer_of_bob, policy
from tests.unit.ike.algorithms import ALGORITHMS, GCM_128, NO_ESN, X25519, esp

NOT_FOUND, TEMPORARY = NotifyType.CHILD_SA_NOT_FOUND, NotifyType.TEMPORARY_FAILURE


def rekey_sa(spi: bytes = SPI, protocol: int = Protocol.ESP) -> NotifyPayload:
    return NotifyPayload(NotifyType.REKEY_SA, b"", protocol, spi)


def request(script: Script, spi: bytes = SPI, new: bytes = b"\x31\x32\x33\x34") -> list[Payload]:
    """A rekey of the first child as it should be."""
    found = child_request(script)
    sa = found[0]
    assert isinstance(sa, SaPayload)
    return [rekey_sa(spi), SaPayload((replace(sa.proposals[0], spi=new),)), *found[1:]]


def with_selectors(payloads: list[Payload], initiator: bool, text: str) -> list[Payload]:
    """Another TSi or TSr."""
    ts = Script.ts(None, (network(text),), initiator)  # type: ignore[arg-type]
    return [ts if isinstance(one, TsPayload) and one.initiator is initiator else one for one in payloads]


@pytest.mark.parametrize("role", ROLES)
def test_c6_a_rekey_with_narrower_selectors_than_in_use_is_refused_and_the_child_stays(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    for initiator, text in ((True, "10.1.1.0/24" if script.initiator else "10.2.1.0/24"), (False, "10.2.1.0/24")):
        answer = script.request(CREATE, with_selectors(request(script), initiator, text))
        assert errors(answer) == [NotifyType.TS_UNACCEPTABLE]
    assert len(bench.node.plane.children) == 1
    assert bench.state() == "established"


@pytest.mark.parametrize("role", ROLES)
def test_c6_a_rekey_with_wider_selectors_gets_no_more_than_policy(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    (before,) = bench.node.plane.children.values()
    answer = script.request(CREATE, with_selectors(request(script), True, "10.0.0.0/8"))
    assert not errors(answer)
    after = list(bench.node.plane.children.values())[-1]
    assert (after.spec.local_ts, after.spec.remote_ts) == (before.spec.local_ts, before.spec.remote_ts)


@pytest.mark.parametrize("role", ROLES)
def test_c7_an_spi_equal_to_one_of_our_own_is_harmless(role: str) -> None:
    """Each side gives out its own SPIs: the same number in both directions means two SAs that never meet."""
    bench = Bench(role)
    script = bench.established()
    (first,) = bench.node.plane.children.values()
    own = first.spec.spi_in.to_bytes(4, "big")
    assert not errors(script.request(CREATE, request(script, new=own)))
    assert script.request(INFO, [DeletePayload(Protocol.ESP, (SPI,))]) == (DeletePayload(Protocol.ESP, (own,)),)
    bench.world.run(10.0)
    (left,) = bench.node.plane.children.values()
    assert left.spec.spi_out == first.spec.spi_in != left.spec.spi_in
    assert left.outbound
    assert keys_reused(bench.node) == []


def with_pfs(role: str) -> Bench:
    child = lan(esp=(esp(GCM_128, NO_ESN, X25519),))
    if role == "initiator":
        return Bench(role, policy(peer_of_alice(children=(child,))))
    return Bench(role, policy(peer_of_bob(children=(mirrored(child),))))


def offering(payloads: list[Payload], *transforms: object) -> list[Payload]:
    sa = next(one for one in payloads if isinstance(one, SaPayload))
    other = SaPayload((replace(sa.proposals[0], transforms=transforms),))  # type: ignore[arg-type]
    return [other if one is sa else one for one in payloads]


@pytest.mark.parametrize("role", ROLES)
def test_c8_where_pfs_is_required_an_offer_without_it_is_refused_and_one_without_ke_is_told_the_method(
    role: str,
) -> None:
    bench = with_pfs(role)
    script = bench.established()
    assert errors(script.request(CREATE, request(script))) == [NotifyType.NO_PROPOSAL_CHOSEN]
    answer = script.request(CREATE, offering(request(script), GCM_128, NO_ESN, X25519))
    assert [(one.type, one.data) for one in answer if isinstance(one, NotifyPayload)] == [
        (NotifyType.INVALID_KE_PAYLOAD, b"\0\x1f")
    ]
    assert len(bench.node.plane.children) == 1


@pytest.mark.parametrize("role", ROLES)
def test_c8_a_ke_payload_that_nobody_negotiated_is_ignored(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    answer = script.request(CREATE, [*request(script), KePayload(31, b"k" * 32)])
    assert not errors(answer)
    assert not [one for one in answer if isinstance(one, KePayload)]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("spi", "protocol", "echoed"),
    [
        (b"\xee\xee\xee\xee", Protocol.ESP, (Protocol.ESP, b"\xee\xee\xee\xee")),
        (b"", 0, (0, b"")),
        (b"", Protocol.ESP, (0, b"")),
        (SPI, Protocol.AH, (0, b"")),
        (b"", 200, (0, b"")),
    ],
)
def test_c10_a_rekey_of_what_is_not_there_is_child_sa_not_found(
    role: str, spi: bytes, protocol: int, echoed: tuple[int, bytes]
) -> None:
    """An SPI for another protocol than AH and ESP is no notification at all (K27)."""
    bench = Bench(role)
    script = bench.established()
    answer = script.request(CREATE, [rekey_sa(spi, protocol), *request(script)[1:]])
    assert [(one.type, one.protocol, one.spi) for one in answer if isinstance(one, NotifyPayload)] == [
        (NOT_FOUND, *echoed)
    ]
    assert len(bench.node.plane.children) == 1
    assert not bench.node.plane.reserved


@pytest.mark.parametrize("role", ROLES)
def test_c10_the_nodes_own_half_is_not_what_the_peer_may_name(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    (own,) = bench.node.plane.children.values()
    answer = script.request(CREATE, request(script, spi=own.spec.spi_in.to_bytes(4, "big")))
    assert notifies(answer) == [NOT_FOUND]


def test_c10_the_child_of_another_ike_sa_is_not_found() -> None:
    pair = two(1)
    stand(pair)
    bench = Bench("responder")
    script = bench.established()
    foreign = next(iter(pair.bob.plane.children.values())).spec.spi_out.to_bytes(4, "big")
    assert notifies(script.request(CREATE, request(script, spi=foreign))) == [NOT_FOUND]


@pytest.mark.parametrize("role", ROLES)
def test_c14_a_new_ike_sa_has_keys_of_the_old_one_ids_from_0_and_the_children_once(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    (child,) = bench.node.plane.children
    new_spi = b"new ours"
    random = bench.world._random.randbytes
    offer = ALGORITHMS.key_exchanges[31].start(random)
    ni = b"N" * 32
    answer = script.request(
        CREATE, [SaPayload(offer_ike(IKE[:1], new_spi)), NoncePayload(ni), KePayload(31, offer.public)]
    )
    sa = next(one for one in answer if isinstance(one, SaPayload))
    nr = next(one for one in answer if isinstance(one, NoncePayload)).data
    ke = next(one for one in answer if isinstance(one, KePayload)).data
    suite, keys = script.suite, script.keys
    assert suite is not None
    assert keys is not None
    seed = rekey_skeyseed(suite.prf, bytes(keys.sk_d), offer.finish(ke), ni, nr)
    spi_r = sa.proposals[0].spi
    assert script.request(INFO, [DeletePayload(Protocol.IKE, ())]) == ()
    script.spi_i, script.spi_r, script.initiator, script.next_id = new_spi, spi_r, True, 0
    fresh = expand_ike(suite, seed, ni, nr, new_spi, spi_r)
    script._protector = Protector(suite, fresh, initiator=True, random=random)
    assert script.request(INFO, ()) == ()  # id 0, new keys
    (left,) = bench.node.endpoint.snapshot()
    assert (left.spi_i, left.role) == (new_spi.hex(), "responder")
    assert [one.handle for one in left.children] == list(bench.node.plane.children) == [child]
    bench.node.command(Rekey(left.peer, "lan"))
    bench.world.run(0.1)
    assert parse_header(script.one()).message_id == 0


@pytest.mark.parametrize("role", ROLES)
def test_c15_a_peer_that_rekeys_a_child_thousands_of_times_is_put_off(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    old, refused = SPI, 0
    for number in range(1000):
        new = (0x40000000 + number).to_bytes(4, "big")
        data = script.sealed(CREATE, request(script, old, new), script.next_id)
        script.send(data, wait=False)
        script.next_id += 1
        bench.world.run(0.0)
    bench.world.run(1.0)
    for message in script.received():
        refused += errors(script.opened(message)) != []
    assert refused == 999  # the first stands until the old one is deleted
    assert len(bench.node.plane.children) == 2


def test_c15_ten_thousand_rekeys_in_a_second_cost_two_children_and_no_tunnel() -> None:
    bench = Bench("responder")
    script = bench.established()
    for number in range(10_000):
        new = (0x40000000 + number).to_bytes(4, "big")
        script.send(script.sealed(CREATE, request(script, new=new), script.next_id + number), wait=False)
    bench.world.run(1.0)
    counted = bench.node.endpoint.counters()
    assert counted["drop_rate_limited"] + counted["drop_window"] > 5000
    assert len(bench.node.plane.children) == 2
    assert not bench.node.plane.reserved
    assert bench.state() == "established"


@pytest.mark.parametrize("role", ROLES)
def test_c15_a_peer_that_makes_thousands_of_children_gets_its_share(role: str) -> None:
    bench = Bench(role)
    script = bench.established()
    for number in range(1500):
        payloads = request(script, new=(0x40000000 + number).to_bytes(4, "big"))[1:]
        script.send(script.sealed(CREATE, payloads, script.next_id), wait=False)
        script.next_id += 1
    bench.world.run(1.0)
    kinds = [kind for message in script.received() for kind in errors(script.opened(message))]
    assert len(bench.node.plane.children) == 256
    assert kinds.count(NotifyType.NO_ADDITIONAL_SAS) >= 300
    assert kinds.count(TEMPORARY) >= 800
    assert not bench.node.plane.reserved


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("size", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x08", b"", b"\1"])
def test_s3_no_window_size_changes_ours(role: str, size: bytes) -> None:
    bench = Bench(role)
    script = bench.established()
    for _ in range(2):
        script.request(INFO, [NotifyPayload(NotifyType.SET_WINDOW_SIZE, size)])
    script.send(script.sealed(INFO, (), script.next_id + 1))
    assert not script.received()  # still one at a time
    assert script.request(INFO, ()) == ()
    assert bench.state() == "established"


@pytest.mark.parametrize("role", ROLES)
def test_s3_a_window_size_in_ike_auth_changes_nothing(role: str) -> None:
    bench = Bench(role)
    script = bench.authenticating()
    payloads = [*script.auth_payloads(), NotifyPayload(NotifyType.SET_WINDOW_SIZE, b"\xff\xff\xff\xff")]
    if script.initiator:
        script.request(AUTH, payloads)
    else:
        script.one()
        script.send(script.sealed(AUTH, payloads, 1, response=True))
    assert bench.state() == "established"


@pytest.mark.parametrize("side", ["alice", "bob"])
def test_s6_an_ike_sa_is_replaced_well_before_its_message_ids_wrap(side: str) -> None:
    pair = two(1)
    stand(pair)
    (before,) = pair.alice.endpoint.snapshot()
    one, other = (pair.alice, pair.bob) if side == "alice" else (pair.bob, pair.alice)
    near(one, other, 0xF0000000)
    calm(pair)
    pair.world.run(200.0)
    (after,) = pair.alice.endpoint.snapshot()
    assert after.spi_i != before.spi_i
    assert max(sa.window.next_request for sa in pair.alice.endpoint.sas.values()) < 100
    assert violations(pair) == []
    assert len(pair.alice.plane.children) == 2


@pytest.mark.parametrize("side", ["alice", "bob"])
def test_s6_an_ike_sa_whose_ids_are_used_up_ends(side: str) -> None:
    pair = two(1)
    stand(pair)
    one, other = (pair.alice, pair.bob) if side == "alice" else (pair.bob, pair.alice)
    near(one, other, 0xFFFFFF00)
    pair.world.run(200.0)
    assert pair.alice.endpoint.snapshot() == pair.bob.endpoint.snapshot() == ()


def near(one: object, other: object, number: int) -> None:
    """As if so many requests had gone from the one to the other."""
    for node, name in ((one, "next_request"), (other, "expected")):
        (sa,) = node.endpoint.sas.values()  # type: ignore[attr-defined]
        setattr(sa.window, name, number)
