"""Transport mode (RFC 4303 section 3.1.1): the plane against the reference, and checksums by the book."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fynx.errors import StateError
from fynx.esp.reference import Receiver, Refused, Traffic, Window, checksum_moved, parse_inner, seal_inner
from fynx.plugin.dataplane import EspSuite, Selector
from tests.unit.esp import frames
from tests.unit.esp.test_reference_agrees import inner_packets, spoilt, upper
from tests.unit.esp.workshop import (
    SPI_OUT,
    SUITES,
    Lane,
    child,
    esp_key,
    expected,
    ipv4,
    ipv6,
    lane,
    make,
    mirror,
    network,
    udp,
)

QUICK = settings(max_examples=50, database=None)
HERE4, THERE4 = "198.18.1.9", "198.18.2.7"
HERE6, THERE6 = "fd00:1::9", "fd00:2::7"
PAIRS = {4: (HERE4, THERE4), 6: (HERE6, THERE6)}
TRANSLATED = {
    4: (ipaddress.ip_address("10.0.0.5").packed, ipaddress.ip_address("203.0.113.80").packed),
    6: (ipaddress.ip_address("fd00:aa::5").packed, ipaddress.ip_address("2001:db8::80").packed),
}


def host_to_host(version: int = 4, **changes: object) -> dict[str, object]:
    here, there = PAIRS[version]
    values: dict[str, object] = {"mode": "transport", "local_ts": (network(here),), "remote_ts": (network(there),)}
    return values | changes


def judge(made: Lane) -> Receiver:
    spec = made.spec
    window = Window(spec.window, esn=spec.suite.esn)
    traffic = Traffic(spec.local_ts, spec.remote_ts, transport=True, translated=spec.translated)
    return Receiver(made.key, spec.spi_in, window, traffic)


@st.composite
def payloads(draw: st.DrawFn, made: Lane) -> bytes:
    """ESP around the payload of some upper protocol, or around whatever the tunnel's tests seal."""
    if draw(st.integers(0, 3)) == 0:
        return draw(spoilt(made))
    protocol, body = draw(upper())
    body = draw(st.sampled_from([body, body + draw(st.binary(max_size=40))]))
    packet = made.packet(draw(st.integers(0, 100)), body, protocol)
    return packet if draw(st.integers(0, 9)) else packet[: draw(st.integers(0, len(packet)))]


@QUICK
@given(st.data(), st.sampled_from(sorted(SUITES)), st.sampled_from([4, 6]), st.booleans(), st.booleans())
def test_received_payloads_fare_as_in_the_reference(
    data: st.DataObject, suite: str, version: int, translated: bool, esn: bool
) -> None:
    chosen = replace(SUITES[suite], esn=esn)
    made = lane(
        **host_to_host(version, suite=chosen, window=64, translated=TRANSLATED[version] if translated else None)
    )
    reference = judge(made)
    batch = data.draw(st.lists(payloads(made), min_size=1, max_size=1 if esn else 40))
    assert (made.put(*batch), made.drops()) == expected(reference, batch)
    made.engine.stop()


@QUICK
@given(st.lists(inner_packets(), min_size=1, max_size=60), st.sampled_from(sorted(SUITES)), st.sampled_from([4, 6]))
def test_sealed_payloads_are_those_of_the_reference(packets: list[bytes], suite: str, version: int) -> None:
    engine, key = make(), esp_key(SUITES[suite], 20)
    here, there = PAIRS[version]
    engine.install(child(**host_to_host(version, suite=SUITES[suite])))
    addressed = [placed(packet, here, there) for packet in packets]
    sealed = [packet for _, packet in engine.send_inner(addressed)]
    wanted, number = [], 1
    for packet in addressed:
        try:
            inner = parse_inner(packet)
            if inner.version != version:
                continue
            iv = sealed[number - 1][8 : 8 + key.iv_len] if number <= len(sealed) else bytes(key.iv_len)
            wanted.append(seal_inner(key, SPI_OUT, number, iv, packet, transport=True))
            number += 1
        except Refused:
            continue
    assert sealed == wanted
    engine.stop()


def placed(packet: bytes, here: str, there: str) -> bytes:
    """The packet between these two, as far as it has room for addresses of their family."""
    addresses = ipaddress.ip_address(here).packed + ipaddress.ip_address(there).packed
    at = 12 if len(addresses) == 8 else 8
    fits = len(packet) >= at + len(addresses) and packet[0] >> 4 == (4 if len(addresses) == 8 else 6)
    return packet[:at] + addresses + packet[at + len(addresses) :] if fits else packet


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_what_a_nat_translated_has_a_checksum_that_holds_at_the_receiver(version: int, protocol: str) -> None:
    """RFC 3948 section 3.1.2: the sender counted its own addresses, the receiver's stack counts those that it sees."""
    make_packet = {"tcp": frames.tcp, "udp": frames.udp}[protocol]
    number, l4 = {"tcp": 6, "udp": 17}[protocol], 20 if version == 4 else 40
    seen = make_packet(version, b"some payload of odd length")
    far, near = (seen[12:16], seen[16:20]) if version == 4 else (seen[8:24], seen[24:40])
    made = lane(
        **host_to_host(
            version, translated=TRANSLATED[version], local_ts=(Selector(near, near),), remote_ts=(Selector(far, far),)
        )
    )
    as_sent = frames.summed(readdressed(seen, b"".join(TRANSLATED[version])), number, l4)
    assert as_sent[l4:] != seen[l4:]
    (arrived,) = made.put(made.packet(1, as_sent[l4:], number))
    assert arrived[l4:] == seen[l4:]
    made.engine.stop()


def readdressed(packet: bytes, addresses: bytes) -> bytes:
    at = 12 if len(addresses) == 8 else 8
    return packet[:at] + addresses + packet[at + len(addresses) :]


def test_a_udp_datagram_without_a_checksum_stays_without() -> None:
    made = lane(**host_to_host(translated=TRANSLATED[4]))
    (arrived,) = made.put(made.packet(1, udp(1, 2), 17))
    assert arrived[26:28] == bytes(2)
    made.engine.stop()


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8), st.binary(min_size=20, max_size=21))
def test_a_moved_checksum_is_the_one_counted_anew(before: bytes, after: bytes, data: bytes) -> None:
    head = bytes([0x45]) + bytes(11)
    sent = frames.summed(head + before + data, 6, 20)
    moved = checksum_moved(sent[20:], 6, before, after)
    assert frames.ones(frames.pseudo(head + after, 6, len(data)) + moved) in (0, 0xFFFF)


UNFIT = {
    "first fragment": ipv4(HERE4, THERE4, udp(1, 2), fragment=0x2000),
    "later fragment": ipv4(HERE4, THERE4, b"data", fragment=5),
    "IPv4 options": ipv4(HERE4, THERE4, bytes(4) + udp(1, 2), first=0x46),
    "no next header": ipv4(HERE4, THERE4, b"", 59),
}
UNFIT6 = {
    "hop-by-hop": ipv6(HERE6, THERE6, bytes([17, 0, 1, 4, 0, 0, 0, 0]) + udp(1, 2), 0),
    "routing": ipv6(HERE6, THERE6, bytes([17, 0, 4, 0, 0, 0, 0, 0]) + udp(1, 2), 43),
    "fragment": ipv6(HERE6, THERE6, bytes([17, 0, 0, 1, 0, 0, 0, 0]) + udp(1, 2), 44),
}


@pytest.mark.parametrize(("version", "name"), [*((4, name) for name in UNFIT), *((6, name) for name in UNFIT6)])
def test_what_would_lose_something_with_its_header_is_not_sent(version: int, name: str) -> None:
    engine = make()
    engine.install(child(**host_to_host(version)))
    assert not engine.send_inner([(UNFIT if version == 4 else UNFIT6)[name]])
    assert engine.counters()["drop_transport"] == 1
    assert engine.usage(1).drops["transport"] == 1
    engine.stop()


@pytest.mark.parametrize("version", [4, 6])
def test_two_ends_carry_packets_between_two_hosts(version: int) -> None:
    """Time to live and identification stay behind: the receiver makes them anew."""
    here, there = PAIRS[version]
    spec = child(**host_to_host(version, suite=EspSuite(20, 256, esn=True)))
    west, east = make(), make()
    west.install(spec)
    east.install(mirror(spec, mode="transport"))
    packet = frames.with_ip(version, 17, udp(7, 8, b"hello"), id=0)
    packet = placed(packet, here, there)
    ((_, sealed),) = west.send_inner([packet])
    east.receive_outer(spec.path, [sealed])
    (arrived,) = east.recv_inner()
    assert arrived[-len(udp(7, 8, b"hello")) :] == udp(7, 8, b"hello")
    assert parse_inner(arrived) == parse_inner(packet)
    if version == 4:
        assert frames.ones(arrived[:20]) == 0xFFFF
    assert west.usage(1).bytes_out == east.usage(1).bytes_in == len(packet)
    west.stop()
    east.stop()


WIDE = {
    "a network": {"remote_ts": (network("198.18.2.0/24"),)},
    "two addresses": {"local_ts": (network(HERE4), network("198.18.1.10"))},
    "two families": {"local_ts": (network(HERE4),), "remote_ts": (network(THERE6),)},
}


@pytest.mark.parametrize("name", WIDE)
def test_selectors_that_are_no_pair_of_addresses_are_refused(name: str) -> None:
    engine = make()
    with pytest.raises(StateError):
        engine.install(child(**host_to_host(**WIDE[name])))
    assert engine.status()["sas"] == 0
    engine.stop()
