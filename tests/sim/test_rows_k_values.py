"""Bad inputs K12 to K17, K20 to K22, K27, K28: public values, nonces, notifications and vendor ids of IKE_SA_INIT."""

from __future__ import annotations

import pytest

from fynx.errors import Drop
from fynx.ike.keymat import derive_ike
from fynx.wire.header import HEADER_LEN
from fynx.wire.iana import NotifyType, PayloadType
from fynx.wire.payload import KePayload, NoncePayload, NotifyPayload, Payload, VendorPayload
from fynx.wire.proposal import Transform, transform
from tests.sim.forge import AUTH, CREATE, INFO, INIT, ROLES, Bench, chain, child_request, errors, part, parts
from tests.sim.rig import ALICE, BOB, peer_of_alice, peer_of_bob, policy
from tests.unit.ike.algorithms import ECP_256, GCM_128, MODP_2048, PRF_256, X25519, ike

P_256 = 2**256 - 2**224 + 2**192 + 2**96 - 1
X448 = transform(4, 32)
MODP_P = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B"
    "302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE6"
    "49286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB9ED529077096966D"
    "670C354E4ABC9804F1746C08CA18217C32905E462E36CE3BE39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718"
    "3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF",
    16,
)
"""RFC 3526 section 3."""


def with_ke(role: str, kind: Transform, data: bytes) -> Bench:
    """A bench where the script's KE payload, of that method, carries ``data``; nothing may come of it."""
    proposals = (ike(GCM_128, PRF_256, kind),)
    own = peer_of_alice(ike=proposals) if role == "initiator" else peer_of_bob(ike=proposals)
    bench = Bench(role, policy(own))
    script = bench.script
    script.method = kind.id
    if role == "responder":
        payloads = script.init_payloads(proposals)
        payloads[1] = KePayload(kind.id, data)
        with bench.silent(Drop.SYNTAX):
            script.send(script.clear(INIT, payloads))
        assert bench.state() == ""
        assert bench.node.endpoint.counters()["half_open"] == 0
        return bench
    bench.started()
    payloads = script.hear(script.one(), proposals)
    with bench.silent(Drop.SYNTAX):
        script.respond_init([KePayload(kind.id, data) if isinstance(one, KePayload) else one for one in payloads])
    script.respond_init(payloads)
    assert bench.state() == "auth_sent"  # the right answer still counts
    return bench


SIZES = {X25519: 32, X448: 56, ECP_256: 64, MODP_2048: 256}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("size", [0, 1, -1, +1, 65000])
def test_k12_a_public_value_of_another_length_is_dropped(role: str, kind: Transform, size: int) -> None:
    right = SIZES[kind]
    with_ke(role, kind, b"\x09" * (right + size if size in (-1, 1) else size))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("value", [0, 1, MODP_P - 1, MODP_P, MODP_P + 1, 2**2048 - 1])
def test_k13_modp_values_outside_2_to_p_minus_2_are_dropped(role: str, value: int) -> None:
    with_ke(role, MODP_2048, value.to_bytes(256, "big"))


def point(x: int, y: int) -> bytes:
    return x.to_bytes(32, "big") + y.to_bytes(32, "big")


GENERATOR = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
POINTS = {
    "zero": point(0, 0),
    "off the curve": point(GENERATOR[0], GENERATOR[1] ^ 1),
    "on the twist": point(2, 1),
    "x is p": point(P_256, GENERATOR[1]),
    "x above p": point(GENERATOR[0], 2**256 - 1),
    "all ones": b"\xff" * 64,
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", POINTS)
def test_k15_what_is_no_point_of_the_curve_is_dropped(role: str, name: str) -> None:
    with_ke(role, ECP_256, POINTS[name])


P_25519, P_448 = 2**255 - 19, 2**448 - 2**224 - 1
ORDER_8 = (
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)
SMALL_25519 = [0, 1, *ORDER_8, P_25519 - 1, P_25519, P_25519 + 1]
SMALL_25519 += [value + 2**255 for value in SMALL_25519[:6]]
SMALL_448 = [0, 1, P_448 - 1, P_448, P_448 + 1]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("value", SMALL_25519)
def test_k16_small_order_points_of_curve25519_are_dropped(role: str, value: int) -> None:
    with_ke(role, X25519, value.to_bytes(32, "little"))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("value", SMALL_448)
def test_k16_small_order_points_of_curve448_are_dropped(role: str, value: int) -> None:
    with_ke(role, X448, value.to_bytes(56, "little"))


@pytest.mark.parametrize("kind", [X25519, ECP_256])
def test_k17_a_shared_secret_with_a_leading_zero_keeps_its_length(kind: Transform) -> None:
    proposals = (ike(GCM_128, PRF_256, kind),)
    bench = Bench("initiator", policy(peer_of_alice(ike=proposals)))
    script = bench.started()
    request = script.one()
    while True:
        payloads = script.hear(request, proposals)
        if script.shared[0] == 0:
            break
    assert len(script.shared) == 32
    assert script.suite is not None
    script.respond_init(payloads)
    sa = next(iter(bench.node.endpoint.sas.values()))
    wanted = derive_ike(script.suite, script.ni, script.nr, script.spi_i, script.spi_r, script.shared)
    assert sa.keys is not None
    assert sa.keys.sk_d == wanted.sk_d
    script.one()
    script.send(script.sealed(AUTH, script.auth_payloads(), 1, response=True))
    assert bench.state() == "established"


NONCES = [0, 1, 15, 257, 1000, 65000]


@pytest.mark.parametrize("size", NONCES)
def test_k20_a_nonce_of_a_wrong_length_is_dropped(size: int) -> None:
    bench = Bench("responder")
    script = bench.script
    payloads = script.init_payloads()
    payloads[2] = NoncePayload(b"n" * size)
    with bench.silent(Drop.SYNTAX):
        script.send(script.clear(INIT, payloads))


@pytest.mark.parametrize("size", NONCES)
def test_k20_a_nonce_of_a_wrong_length_in_the_answer_is_dropped(size: int) -> None:
    bench = Bench("initiator")
    script = bench.started()
    payloads = script.hear(script.one())
    payloads[2] = NoncePayload(b"n" * size)
    with bench.silent(Drop.SYNTAX):
        script.respond_init(payloads)


@pytest.mark.parametrize("size", NONCES)
def test_k20_a_nonce_of_a_wrong_length_for_a_child_is_invalid_syntax(size: int) -> None:
    bench = Bench("responder")
    script = bench.established()
    payloads = child_request(script)
    payloads[1] = NoncePayload(b"n" * size)
    assert errors(script.request(CREATE, payloads)) == [NotifyType.INVALID_SYNTAX]


@pytest.mark.parametrize("size", [16, 32, 256])
def test_k20_nonces_of_16_to_256_octets_are_taken(size: int) -> None:
    proposals = (ike(GCM_128, PRF_256, X25519),)
    bench = Bench("responder", policy(peer_of_bob(ike=proposals)))
    script = bench.script
    script.ni = b"n" * size
    script.begin(script.init_payloads(proposals))
    script.learn(script.one())
    assert not errors(script.request(AUTH, script.auth_payloads()))


def test_k20_a_nonce_shorter_than_half_the_prf_key_is_not_taken() -> None:
    """RFC 7296 section 2.10: PRF_HMAC_SHA2_512 asks for 32 octets."""
    proposals = (ike(GCM_128, transform(2, 7), X25519),)
    bench = Bench("responder", policy(peer_of_bob(ike=proposals)))
    script = bench.script
    script.ni = b"n" * 31
    with bench.silent(Drop.SYNTAX):
        script.send(script.clear(INIT, script.init_payloads(proposals)))


@pytest.mark.parametrize("kind", [NoncePayload, KePayload])
def test_k21_our_own_nonce_or_public_value_in_the_answer_is_dropped(kind: type[Payload]) -> None:
    bench = Bench("initiator")
    script = bench.started()
    request = script.one()
    payloads = script.hear(request)
    own = next(one for one in script.heard if isinstance(one, kind))
    with bench.silent(Drop.REFLECTION):
        script.respond_init([own if isinstance(one, kind) else one for one in payloads])
    script.respond_init(payloads)
    assert bench.state() == "auth_sent"


def test_k22_the_same_first_message_gets_the_same_answer_and_another_a_new_sa() -> None:
    bench = Bench("responder")
    script = bench.script
    first = script.begin()
    answer = script.one()
    script.send(first)
    assert script.one() == answer
    changes = []
    for nonce in (b"j" * 32, b"k" * 32):
        payloads = script.init_payloads()
        payloads[2] = NoncePayload(nonce)
        script.send(script.clear(INIT, payloads))
        changes.append(script.one())
    bench.world.inject((ALICE, 501), (BOB, 500), first)
    bench.world.run(0.1)
    changes += script.received()
    assert bench.node.endpoint.counters()["half_open"] == 4
    assert len({message[8:16] for message in (answer, *changes)}) == 4
    # The first of them is still the one it was.
    script.learn(answer)
    assert not errors(script.request(AUTH, script.auth_payloads()))


def notify_body(protocol: int, size: int, data: bytes) -> bytes:
    return bytes((protocol, size)) + (40000).to_bytes(2, "big") + data


BAD_NOTIFIES = {
    "SPI size 255": notify_body(3, 255, b"x" * 300),
    "shorter than its SPI": notify_body(3, 4, b"xyz"),
    "SPI of 255, no octets": notify_body(3, 255, b""),
    "protocol 0 with an SPI": notify_body(0, 4, b"wxyz"),
    "protocol 1 with an SPI": notify_body(1, 8, b"wxyzwxyz"),
    "protocol 255 with an SPI": notify_body(255, 4, b"wxyz"),
    "no type": b"\0\0\0",
    "empty": b"",
}


@pytest.mark.parametrize("name", BAD_NOTIFIES)
def test_k27_a_malformed_notification_in_a_first_message_is_dropped(name: str) -> None:
    bench = Bench("responder")
    script = bench.script
    bad = (PayloadType.NOTIFY, BAD_NOTIFIES[name], 0)
    with bench.silent(Drop.SYNTAX):
        script.send(script.clear_raw(INIT, *chain([*parts(script.init_payloads()), bad])))


@pytest.mark.parametrize("name", BAD_NOTIFIES)
def test_k27_a_malformed_notification_in_the_answer_is_dropped(name: str) -> None:
    bench = Bench("initiator")
    script = bench.started()
    payloads = script.hear(script.one())
    bad = (PayloadType.NOTIFY, BAD_NOTIFIES[name], 0)
    with bench.silent(Drop.SYNTAX):
        script.send(script.clear_raw(INIT, *chain([*parts(payloads), bad]), response=True))
    script.respond_init(payloads)
    assert bench.state() == "auth_sent"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", BAD_NOTIFIES)
def test_k27_a_malformed_notification_is_invalid_syntax_and_not_echoed(role: str, name: str) -> None:
    bench = Bench(role)
    script = bench.established()
    answer = script.request_raw(INFO, *chain([(PayloadType.NOTIFY, BAD_NOTIFIES[name], 0)]))
    assert answer == (NotifyPayload(NotifyType.INVALID_SYNTAX),)


@pytest.mark.parametrize("protocol", [0, 1, 255])
def test_k27_the_protocol_of_a_notification_without_spi_has_no_meaning(protocol: int) -> None:
    bench = Bench("responder")
    script = bench.established()
    assert script.request_raw(INFO, *chain([(PayloadType.NOTIFY, notify_body(protocol, 0, b""), 0)])) == ()


@pytest.mark.parametrize("data", [b"", b"\0\n\r\x1b[31m\xff", b"v" * 60000])
def test_k28_vendor_ids_are_ignored(data: bytes) -> None:
    bench = Bench("responder")
    script = bench.script
    vendor = part(VendorPayload(data))
    script.own_init = script.clear_raw(INIT, *chain([*parts(script.init_payloads()), vendor]))
    script.send(script.own_init)
    script.learn(script.one())
    assert not errors(script.request(AUTH, [*script.auth_payloads(), VendorPayload(data[:1000])]))
    trace = str(bench.world.trace)
    assert "\x1b" not in trace
    assert "\r" not in trace
    assert all(len(str(event)) < 2000 for event in bench.node.events)


@pytest.mark.parametrize("data", [b"", b"\0\n\r\x1b[31m\xff", b"v" * 60000])
def test_k28_vendor_ids_in_the_answer_are_ignored(data: bytes) -> None:
    bench = Bench("initiator")
    script = bench.started()
    script.respond_init([*script.hear(script.one()), VendorPayload(data)])
    script.one()
    script.send(script.sealed(AUTH, [*script.auth_payloads(), VendorPayload(data[:1000])], 1, response=True))
    assert bench.state() == "established"
    assert all(len(str(event)) < 2000 for event in bench.node.events)


def test_the_first_message_of_65507_octets_is_read_or_dropped_but_never_kills() -> None:
    bench = Bench("responder")
    script = bench.script
    message = script.clear_raw(INIT, PayloadType.NONCE, b"\0" * (65507 - HEADER_LEN))
    with bench.silent():
        script.send(message)
