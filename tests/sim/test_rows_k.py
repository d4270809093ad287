"""Bad inputs K1 to K11: proposals and the choice among them in IKE_SA_INIT, both roles."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fynx.events import HandshakeFailed
from fynx.wire.iana import NotifyType, PayloadType
from fynx.wire.payload import KePayload, NotifyPayload, Payload, SaPayload
from fynx.wire.proposal import Attribute, Proposal, Transform, encode_proposals, transform
from tests.sim.forge import CREATE, INIT, Bench, Part, Script, chain, child_request, clear_payloads, errors, parts
from tests.sim.rig import peer_of_alice, peer_of_bob, policy
from tests.unit.ike.algorithms import (
    ALGORITHMS,
    CBC_256,
    ECP_256,
    GCM_128,
    GCM_256,
    MODP_2048,
    NO_ESN,
    PRF_256,
    PRF_384,
    SHA256,
    X25519,
    ike,
)
from tests.work import calls

GOOD = encode_proposals((ike(GCM_256, PRF_384, X25519), ike(GCM_128, PRF_256, X25519, number=2)))
SECOND = int.from_bytes(GOOD[2:4], "big")
"""Where the second proposal starts in GOOD."""


def patched(at: int, *octets: int) -> bytes:
    return GOOD[:at] + bytes(octets) + GOOD[at + len(octets) :]


MALFORMED = {
    "K1 number 0": patched(4, 0),
    "K1 first number 2": patched(4, 2),
    "K1 gap": patched(SECOND + 4, 3),
    "K1 repeated": patched(SECOND + 4, 1),
    "K2 SPI size 255": patched(6, 255),
    "K2 SPI size 1": patched(6, 1),
    "K2 an SPI of 8": encode_proposals((ike(GCM_256, PRF_384, X25519, spi=b"12345678"),)),
    "K2 an SPI of 4": encode_proposals((ike(GCM_256, PRF_384, X25519, spi=b"1234"),)),
    "K3 last proposal says more": patched(SECOND, 2),
    "K3 first proposal says last": patched(0, 0),
    "K3 proposal says 3": patched(0, 3),
    "K3 last transform says more": patched(len(GOOD) - 8, 3),
    "K3 first transform says last": patched(8, 0),
    "K3 transform says 2": patched(8, 2),
    "K4 fewer transforms": patched(7, 4),
    "K4 more transforms": patched(7, 2),
    "K4 no transforms": patched(7, 0),
    "K4 255 transforms": patched(7, 255),
    "proposal length 0": patched(2, 0, 0),
    "proposal length 7": patched(2, 0, 7),
    "proposal beyond the end": patched(SECOND + 2, 255, 255),
    "transform length 0": patched(10, 0, 0),
    "transform beyond the end": patched(10, 255, 255),
    "one octet": b"\0",
}


def with_sa(payloads: list[Payload], body: bytes) -> list[Part]:
    return [(PayloadType.SA, body, 0) if part[0] == PayloadType.SA else part for part in parts(payloads)]


@pytest.mark.parametrize("name", MALFORMED)
def test_k1_k2_k3_k4_a_malformed_offer_is_dropped_without_state(name: str) -> None:
    bench = Bench("responder")
    script = bench.script
    with bench.silent():
        script.send(script.clear_raw(INIT, *chain(with_sa(script.init_payloads(), MALFORMED[name]))))


@pytest.mark.parametrize("name", MALFORMED)
def test_k1_k2_k3_k4_a_malformed_answer_is_dropped_and_a_good_one_still_counts(name: str) -> None:
    bench = Bench("initiator")
    script = bench.started()
    payloads = script.hear(script.one())
    with bench.silent():
        script.send(script.clear_raw(INIT, *chain(with_sa(payloads, MALFORMED[name])), response=True))
    script.respond_init(payloads)
    assert bench.state() == "auth_sent"


@pytest.mark.parametrize("name", [name for name in MALFORMED if "SPI of" not in name])
def test_k1_k2_k3_k4_a_malformed_offer_for_a_child_is_invalid_syntax(name: str) -> None:
    bench = Bench("responder")
    script = bench.established()
    first, data = chain(with_sa(child_request(script), MALFORMED[name]))
    assert errors(script.request_raw(CREATE, first, data)) == [NotifyType.INVALID_SYNTAX]
    assert len(bench.node.plane.history) == 1


def refused(script: Script, *proposals: Proposal, method: int = 31) -> list[NotifyType]:
    """What a first message with these proposals gets; there must be no SA for it."""
    payloads: list[Payload] = [SaPayload(proposals), *script.init_payloads()[1:]]
    script.send(script.clear(INIT, payloads))
    answer = script.one()
    assert len(answer) < 64
    return errors(clear_payloads(answer))


def offer(*transforms: Transform) -> list[NotifyType]:
    bench = Bench("responder")
    found = refused(bench.script, ike(*transforms))
    assert bench.state() == ""
    (failure,) = bench.events(HandshakeFailed)
    assert isinstance(failure, HandshakeFailed)
    assert failure.notify == "NO_PROPOSAL_CHOSEN"
    assert failure.reason
    return found


def test_k1_an_offer_without_proposals_is_no_proposal_chosen() -> None:
    bench = Bench("responder")
    script = bench.script
    script.send(script.clear_raw(INIT, *chain(with_sa(script.init_payloads(), b""))))
    assert errors(clear_payloads(script.one())) == [NotifyType.NO_PROPOSAL_CHOSEN]
    assert bench.state() == ""


MANY = [transform(1 + index % 4, 2000 + index) for index in range(255)]
WIDE = encode_proposals([ike(*MANY, number=number) for number in range(1, 32)])
"""255 transforms in each of as many proposals as a datagram can hold."""
DENSE = encode_proposals([ike(GCM_256, PRF_256, *[transform(4, 2000)] * 2, number=number) for number in range(1, 65)])
"""As many as are looked at, each of which agrees with ours in all but the last type."""
LONG = encode_proposals([ike(GCM_256, number=number) for number in range(1, 256)])


@pytest.mark.parametrize(("body", "most"), [(WIDE, 1000), (WIDE[:65000], 1000), (LONG, 1000), (DENSE, 15_000)])
def test_k4_255_proposals_of_255_transforms_are_bounded_work(body: bytes, most: int) -> None:
    """From the datagram to its refusal, in calls; milliseconds are measured by ``./run bench refuse``."""
    bench = Bench("responder")
    script = bench.script
    message = script.clear_raw(INIT, *chain(with_sa(script.init_payloads(), body)))
    assert calls(lambda: script.send(message, wait=False)) < most
    assert bench.state() == ""


@pytest.mark.parametrize("body", [WIDE, WIDE[:65000], LONG, DENSE])
def test_k4_an_initiator_that_is_answered_so_waits_on_at_little_cost(body: bytes) -> None:
    bench = Bench("initiator")
    script = bench.started()
    payloads = script.hear(script.one())
    message = script.clear_raw(INIT, *chain(with_sa(payloads, body)), response=True)
    with bench.silent():
        assert calls(lambda: script.send(message, wait=False)) < 10_000
    script.respond_init(payloads)
    assert bench.state() == "auth_sent"


@pytest.mark.parametrize("missing", [GCM_256, PRF_384, X25519])
def test_k5_an_offer_without_a_mandatory_type_is_no_proposal_chosen(missing: Transform) -> None:
    assert offer(*[one for one in (GCM_256, PRF_384, X25519) if one != missing]) == [NotifyType.NO_PROPOSAL_CHOSEN]


@pytest.mark.parametrize("integ", [(), (transform(3, 0),)])
def test_k5_cbc_without_integrity_is_no_proposal_chosen(integ: tuple[Transform, ...]) -> None:
    own = policy(peer_of_bob(ike=(ike(CBC_256, SHA256, PRF_256, X25519),)))
    bench = Bench("responder", own)
    assert refused(bench.script, ike(CBC_256, *integ, PRF_256, X25519)) == [NotifyType.NO_PROPOSAL_CHOSEN]
    assert bench.state() == ""


def test_k6_aead_with_integrity_is_no_proposal_chosen() -> None:
    assert offer(GCM_256, SHA256, PRF_384, X25519) == [NotifyType.NO_PROPOSAL_CHOSEN]


@pytest.mark.parametrize("encr", [transform(1, 11), transform(1, 21, 256), transform(1, 0)])
def test_k6_null_and_gmac_are_no_proposal_chosen(encr: Transform) -> None:
    assert offer(encr, PRF_384, X25519) == [NotifyType.NO_PROPOSAL_CHOSEN]


ATTRIBUTES = {
    "none": (),
    **{f"{bits} bits": (Attribute(14, bits),) for bits in (0, 1, 127, 192, 65535)},
    "twice": (Attribute(14, 256), Attribute(14, 256)),
    "unknown": (Attribute(99, 1),),
    "unknown beside": (Attribute(14, 256), Attribute(99, 1)),
    "long form": (Attribute(14, b"\x01\x00"),),
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_k7_a_cipher_with_other_attributes_is_not_chosen(name: str) -> None:
    assert offer(Transform(1, 20, ATTRIBUTES[name]), PRF_384, X25519) == [NotifyType.NO_PROPOSAL_CHOSEN]


def test_k7_an_attribute_that_passes_the_end_makes_its_transform_unacceptable() -> None:
    assert offer(Transform(1, 20, (), b"\x00\x0e\xff\xff"), PRF_384, X25519) == [NotifyType.NO_PROPOSAL_CHOSEN]


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_k8_all_65536_ids_of_a_type_leave_the_responder_unmoved(kind: int) -> None:
    """Ids that nobody knows, in bulk: never chosen, never a crash; with one known among them, that is chosen."""
    known = {one.id for one in (GCM_256, PRF_384, X25519, MODP_2048) if one.type == kind} | {0}
    rest = [one for one in (GCM_256, PRF_384, X25519) if one.type != kind]
    ids = [number for number in range(65536) if number not in known and not _mine(kind, number)]
    bench = Bench("responder")
    for start in range(0, len(ids), 250):
        flood = [transform(kind, number) for number in ids[start : start + 250]]
        payloads = [SaPayload((ike(*rest, *flood),)), *bench.script.init_payloads()[1:]]
        bench.script.send(bench.script.clear(INIT, payloads), wait=False)
        assert bench.state() == ""
    assert len(bench.node.sent) > 100  # NO_PROPOSAL_CHOSEN, until the limit of answers


def _mine(kind: int, number: int) -> bool:
    tables = {2: ALGORITHMS.prfs, 3: ALGORITHMS.integs, 4: ALGORITHMS.key_exchanges}
    return kind in tables and number in tables[kind]


@pytest.mark.parametrize("method", [14, 19, 2, 0, 65535])
def test_k9_another_group_in_ke_is_told_the_one_we_want_without_state(method: int) -> None:
    bench = Bench("responder")
    script = bench.script
    payloads = script.init_payloads()
    payloads[1] = KePayload(method, b"k" * 64)
    script.send(script.clear(INIT, payloads))
    answer = clear_payloads(script.one())
    assert answer == (NotifyPayload(NotifyType.INVALID_KE_PAYLOAD, b"\x00\x1f"),)
    assert bench.state() == ""
    assert bench.node.endpoint.counters()["half_open"] == 0


def test_k9_the_group_that_we_prefer_is_wanted_and_then_taken() -> None:
    bench = Bench("responder", policy(peer_of_bob(ike=(ike(GCM_128, PRF_256, ECP_256, X25519),))))
    script = bench.script
    script.send(script.clear(INIT, script.init_payloads()))
    assert clear_payloads(script.one()) == (NotifyPayload(NotifyType.INVALID_KE_PAYLOAD, b"\x00\x13"),)
    script.method, script.offer = 19, None
    script.begin()
    script.learn(script.one())
    assert not errors(script.request(35, script.auth_payloads()))
    assert bench.state() == "established"


def wants(method: int) -> list[Payload]:
    return [NotifyPayload(NotifyType.INVALID_KE_PAYLOAD, method.to_bytes(2, "big"))]


@pytest.mark.parametrize("method", [2, 14, 31, 0, 65535])
def test_k10_a_group_not_offered_or_just_sent_is_not_followed(method: int) -> None:
    bench = Bench("initiator")
    script = bench.started()
    payloads = script.hear(script.one())
    with bench.silent():
        script.respond_init(wants(method))
    script.respond_init(payloads)
    assert bench.state() == "auth_sent"


@pytest.mark.parametrize("data", [b"", b"\x13", b"\x00\x13\x00"])
def test_k10_a_malformed_wish_is_not_followed(data: bytes) -> None:
    bench = Bench("initiator")
    script = bench.started()
    script.hear(script.one())
    with bench.silent():
        script.respond_init([NotifyPayload(NotifyType.INVALID_KE_PAYLOAD, data)])


def test_k10_one_change_of_group_per_attempt() -> None:
    bench = Bench("initiator")
    script = bench.started()
    first = script.one()
    script.hear(first)
    script.respond_init(wants(19))
    second = script.one()
    kes = [one for message in (first, second) for one in clear_payloads(message) if isinstance(one, KePayload)]
    assert [ke.method for ke in kes] == [31, 19]
    payloads = script.hear(second, (ike(GCM_128, PRF_256, ECP_256),))
    for method in (31, 19):
        with bench.silent():
            script.respond_init(wants(method))
    script.respond_init(payloads)
    assert bench.state() == "auth_sent"


def test_k10_a_wish_that_comes_twice_does_not_shorten_our_patience() -> None:
    """The second copy names the group that was just sent: no refusal, only a datagram that came twice."""
    bench = Bench("initiator")
    script = bench.started()
    script.hear(script.one())
    script.respond_init(wants(19))
    payloads = script.hear(script.one(), (ike(GCM_128, PRF_256, ECP_256),))
    with bench.silent():
        script.respond_init(wants(19))
    bench.world.run(15.0)
    script.respond_init(payloads)
    assert bench.state() == "auth_sent"


def test_k10_the_group_that_was_refused_first_is_no_way_down_either() -> None:
    """RFC 7296 section 2.7: the whole offer goes out again, so that a forged refusal cannot weaken the choice."""
    bench = Bench("initiator")
    script = bench.started()
    first = script.one()
    script.hear(first)
    script.respond_init(wants(19))
    offers = [one for message in (first, script.one()) for one in clear_payloads(message) if isinstance(one, SaPayload)]
    assert offers[0] == offers[1]


ANSWERS = {
    "not offered": (ike(CBC_256, SHA256, PRF_256, X25519),),
    "two transforms of one type": (ike(GCM_256, PRF_384, PRF_256, X25519),),
    "the same transform twice": (ike(GCM_256, GCM_256, PRF_384, X25519),),
    "other key length": (ike(transform(1, 20, 192), PRF_384, X25519),),
    "no key length": (ike(transform(1, 20), PRF_384, X25519),),
    "of the other proposal": (ike(GCM_128, PRF_256, X25519),),
    "mixed proposals": (ike(GCM_256, PRF_256, X25519),),
    "no PRF": (ike(GCM_256, X25519),),
    "no KE": (ike(GCM_256, PRF_384),),
    "more types": (ike(GCM_256, PRF_384, X25519, NO_ESN),),
    "integrity beside AEAD": (ike(GCM_256, SHA256, PRF_384, X25519),),
    "another group than the one answered": (ike(GCM_128, PRF_256, ECP_256, number=2),),
    "both proposals": (ike(GCM_256, PRF_384, X25519), ike(GCM_128, PRF_256, X25519, number=2)),
    "number 3": (ike(GCM_256, PRF_384, X25519, number=3),),
    "none": (),
    "another protocol": (replace(ike(GCM_256, PRF_384, X25519), protocol=3, spi=b"\1\1\1\1"),),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_k11_an_answer_that_is_not_one_of_our_combinations_is_never_used(name: str) -> None:
    bench = Bench("initiator")
    script = bench.started()
    payloads = script.hear(script.one())
    payloads[0] = SaPayload(ANSWERS[name])
    with bench.silent():
        script.respond_init(payloads)
    bench.world.run(600.0)
    assert bench.state() == ""
    assert bench.events(HandshakeFailed)


def test_k11_each_of_our_combinations_is_accepted() -> None:
    for proposal in (ike(GCM_256, PRF_384, X25519), ike(GCM_128, PRF_256, X25519, number=2)):
        bench = Bench("initiator", policy(peer_of_alice()))
        script = bench.started()
        payloads = script.hear(script.one())
        payloads[0] = SaPayload((proposal,))
        script.respond_init(payloads)
        assert bench.state() == "auth_sent"


@pytest.mark.parametrize("method", [22, 23, 24])
def test_k14_groups_with_small_subgroups_are_not_shipped_and_not_chosen(method: int) -> None:
    assert method not in ALGORITHMS.key_exchanges
    assert offer(GCM_256, PRF_384, transform(4, method)) == [NotifyType.NO_PROPOSAL_CHOSEN]
