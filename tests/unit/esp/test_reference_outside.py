"""What stands around ESP, held against the reference: UDP with its marker and keepalives, and IP protocol 50."""

from __future__ import annotations

import select
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fynx.esp._plane import ffi, lib
from fynx.esp.reference import Refused, outside_raw, outside_udp
from fynx.esp.workers import drop_name
from fynx.plugin.dataplane import IkeArrived
from tests.unit.esp.test_reference_agrees import LOCAL, OWN, REMOTE, spoilt
from tests.unit.esp.workshop import Lane, child, esp_key, expected, inbound, ipv4, make, reference

QUICK = settings(max_examples=25, database=None)
LAST = 900


@pytest.mark.parametrize("port", [500, 4500])
@QUICK
@given(st.data())
def test_datagrams_fare_as_in_the_reference(port: int, data: st.DataObject) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far,
    ):
        sock.bind(("127.0.0.1", 0))
        engine, spec = make(), child(window=1024, local_ts=LOCAL, remote_ts=REMOTE)
        engine.add_socket(sock.fileno(), socket.AF_INET, port)
        engine.own_addresses(OWN)
        engine.start()
        engine.install(spec)
        made = Lane(engine, esp_key(spec.suite, 10), spec)
        others = st.sampled_from(
            [b"\xff", b"", b"\0", b"\xff\xff", bytes(3), bytes(4), bytes(8), b"\0\0\0\1" + bytes(40)]
        )
        messages = st.binary(max_size=60).map(lambda body: bytes(4) + body)
        sent = data.draw(st.lists(st.one_of(spoilt(made), spoilt(made), others, messages), max_size=30))
        last = made.packet(LAST, inbound(b"the last")) if port != 500 else b"the last"
        for each in [*sent, last]:
            far.sendto(each, sock.getsockname())
        sorted_out = [outside_udp(each, port) for each in [*sent, last]]
        messages_wanted = [body for kind, body in sorted_out if kind == "ike"]
        delivered, dropped = expected(reference(spec, OWN), [body for kind, body in sorted_out if kind == "esp"])
        arrived, found = [], []
        while len(arrived) < len(messages_wanted) or len(found) < len(delivered):
            assert select.select([engine.inner_fd, engine.event_fd], [], [], 40)[0], "all arrives"
            found += engine.recv_inner(1000)
            arrived += [each.data for each in engine.drain() if isinstance(each, IkeArrived)]
        engine.stop()
        assert (found, arrived) == (delivered, messages_wanted)
        assert made.drops() == dropped
        assert engine.counters()["keepalives"] == sum(kind == "keepalive" for kind, _ in sorted_out)


@settings(QUICK, max_examples=300)
@given(
    st.sampled_from([0x45, 0x46, 0x4F, 0x44, 0x65]),
    st.one_of(st.none(), st.integers(0, 120)),
    st.sampled_from([0, 0x4000, 0x2000, 5, 0x8000]),
    st.sampled_from([50, 50, 50, 17]),
    st.binary(max_size=80),
    st.integers(0, 100),
)
def test_packets_of_raw_sockets_fare_as_in_the_reference(
    first: int, total: int | None, fragment: int, protocol: int, payload: bytes, length: int
) -> None:
    fields = {"first": first, "fragment": fragment} | ({} if total is None else {"total": total})
    packet = ipv4("192.0.2.1", "192.0.2.2", payload, protocol, **fields)[: max(length, 1)]
    found = lib.fynx_raw_run(1, ffi.from_buffer(packet), len(packet))
    end = int.from_bytes(packet[2:4], "big")
    assert (drop_name(-1 - found) if found < 0 else packet[found:end]) == judged(packet)


def judged(packet: bytes) -> bytes | str:
    try:
        return outside_raw(packet)
    except Refused as refused:
        return refused.name
