"""What the path and a changing SA do to packets: rows E19, E22, E23, E26, E27, E32 (RFC 4301, 4303, 6040)."""

from __future__ import annotations

import itertools
import socket

import pytest

from tests.unit.esp.test_engine_threads import site
from tests.unit.esp.workshop import EAST, GCM, WEST, child, inbound, lane, make, mirror, outbound

NOT_ECT, ECT_1, ECT_0, CE = range(4)
ARRIVES = {  # RFC 6040 figure 4: (inner, outer) to what goes on, where it is not the inner mark
    (NOT_ECT, CE): None,
    (ECT_0, ECT_1): ECT_1,
    (ECT_0, CE): CE,
    (ECT_1, CE): CE,
}
DSCP = 0xB8


def marked(packet: bytes, tos: int) -> bytes:
    return packet[:1] + bytes([tos]) + packet[2:]


@pytest.mark.parametrize(("inner", "outer"), list(itertools.product(range(4), repeat=2)))
def test_E22_marks_outside_are_carried_in_as_rfc_6040_says(inner: int, outer: int) -> None:
    made = lane()
    packet = made.packet(1, marked(inbound(), DSCP | inner))
    with site(socket.AF_INET) as here, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        here.engine.install(made.spec)
        there.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, outer)
        there.sendto(packet, (here.address, here.port))
        there.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, NOT_ECT)
        there.sendto(made.packet(2, inbound(b"the end")), (here.address, here.port))
        wanted = ARRIVES.get((inner, outer), inner)
        arrived = [] if wanted is None else [DSCP | wanted]
        assert [one[1] for one in here.inner(len(arrived) + 1)] == [*arrived, NOT_ECT]
        assert here.engine.usage(1).drops == ({"congestion": 1} if wanted is None else {})


@pytest.mark.parametrize("ttl", [0, 1, 64])
def test_E23_the_ttl_inside_is_the_routers_business(ttl: int) -> None:
    """The device's kernel forwards and counts down (RFC 4301 section 5.1.2.1): the plane changes it in neither way."""
    made = lane()
    packet = inbound()[:8] + bytes([ttl]) + inbound()[9:]
    assert made.put(made.packet(1, packet)) == [packet]
    sent = outbound()[:8] + bytes([ttl]) + outbound()[9:]
    far = make()
    far.install(mirror(made.spec))
    far.receive_outer(EAST, [data for _, data in made.engine.send_inner([sent])])
    assert list(far.recv_inner()) == [sent]


def test_E26_the_old_sa_is_heard_until_it_is_deleted_and_nothing_is_lost() -> None:
    """Rekeying: the new SA is there inbound first, then sends; packets of the old one still on the way arrive."""
    near, far = make(), make()
    old, new = child(1), child(2, spi_in=0x2222_2222, spi_out=0x3333_3333)
    near.install(old)
    far.install(mirror(old))
    packets = [outbound(bytes([n])) for n in range(30)]
    late = [data for _, data in near.send_inner(packets[:10])]
    near.install(child(2, spi_in=new.spi_in, spi_out=new.spi_out, outbound=False))
    far.install(mirror(new))
    still_old = [data for _, data in near.send_inner(packets[10:20])]
    near.activate(2)
    fresh = [data for _, data in near.send_inner(packets[20:])]
    assert {data[:4] for data in still_old} == {old.spi_out.to_bytes(4, "big")}
    assert {data[:4] for data in fresh} == {new.spi_out.to_bytes(4, "big")}
    far.receive_outer(EAST, [*fresh, *still_old, *late])
    assert sorted(far.recv_inner()) == sorted(packets)
    back = [data for _, data in far.send_inner([inbound()])]
    near.receive_outer(WEST, back)
    assert list(near.recv_inner()) == [inbound()]


def test_E27_a_packet_after_its_sa_was_deleted_is_of_an_unknown_spi() -> None:
    made = lane()
    packets = [made.packet(n, inbound()) for n in (1, 2)]
    assert made.put(packets[0]) == [inbound()]
    made.engine.remove(made.spec.handle)
    assert made.put(packets[1]) == []
    assert made.drops() == {"unknown_spi": 1}


def test_E32_a_storm_of_bad_icvs_costs_a_counter_each_and_tells_nobody() -> None:
    made = lane()
    good = made.packet(5000, inbound())
    storm = [good[:-1] + bytes([good[-1] ^ (1 + n % 255)]) for n in range(2000)]
    assert made.put(*storm) == []
    assert made.drops() == {"integrity": 2000}
    assert list(made.engine.drain()) == [], "no rekeying, no report"
    assert made.engine.usage(1).sequence_in == 0
    assert made.put(good) == [inbound()]


@pytest.mark.parametrize("esn", [False, True])
def test_E19_a_key_ends_by_its_numbers_before_any_limit_of_the_cipher(esn: bool) -> None:
    """2^32 packets at most, and 13/16 of them ask for a new key (RFC 8221 section 5, RFC 4106 section 2)."""
    engine = make()
    engine.install(child(suite=type(GCM)(GCM.encr_id, GCM.key_bits, esn=esn)))
    engine.set_sequence(1, (13 << 28) if not esn else (13 << 60))
    engine.send_inner([outbound()])
    (told,) = engine.drain()
    assert (told.hard, told.reason) == (False, "sequence")  # type: ignore[union-attr]
