"""The C plane held against the reference: random packets, good and spoilt, give equal octets and equal counters."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fynx.esp.reference import Inner, Refused, matches, parse_inner, seal_inner
from fynx.plugin.dataplane import EspSuite, Policy, Selector
from tests.unit.esp.workshop import (
    PROVIDERS,
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
    network,
    reference,
    udp,
)

QUICK = settings(max_examples=50, database=None)
SOURCES4 = st.sampled_from(["198.18.2.7", "198.18.2.255", "198.18.3.1", "127.0.0.1", "0.0.0.0", "203.0.113.5"])
SOURCES6 = st.sampled_from(["2001:db8:2::7", "2001:db8:3::7", "::1", "ff02::1", "::ffff:1.2.3.4", "fd00::5"])
LOCAL = (network("198.18.1.0/24"), network("2001:db8:1::/48", 17, (500, 4500)), network("2001:db8:1::/48", 58))
REMOTE = (network("198.18.2.0/24", 17), network("198.18.2.0/24", 1, (0x800, 0x8FF)), network("2001:db8:2::/48"))
OWN = (bytes([203, 0, 113, 5]), network("fd00::5/128").start)
PORTS = st.sampled_from([0, 499, 500, 4500, 4501, 65535])


@st.composite
def upper(draw: st.DrawFn) -> tuple[int, bytes]:
    protocol = draw(st.sampled_from([0, 1, 6, 17, 43, 44, 58, 59, 60, 132, 135, 253]))
    if protocol in (6, 17, 132):
        return protocol, udp(draw(PORTS), draw(PORTS), draw(st.binary(max_size=30)))[: draw(st.integers(2, 60))]
    if protocol in (1, 58):
        return protocol, bytes([draw(st.sampled_from([3, 8, 128])), draw(st.integers(0, 255)), 0, 0, 1, 2, 3, 4])
    following, units = draw(st.sampled_from([0, 6, 17, 43, 44, 58, 59, 60])), draw(st.integers(0, 3))
    fragment = draw(st.sampled_from([0, 1, 8, 0xFFF8]))
    head = bytes([following, units]) + fragment.to_bytes(2, "big") + bytes(4)
    return protocol, head + draw(st.binary(max_size=60))


@st.composite
def inner_packets(draw: st.DrawFn) -> bytes:
    protocol, payload = draw(upper())
    if draw(st.booleans()):
        fields = {
            "fragment": draw(st.sampled_from([0, 0, 0, 0x2000, 5, 0x2005])),
            "first": draw(st.sampled_from([0x45, 0x45, 0x45, 0x46, 0x44, 0x4F, 0x55])),
        }
        packet = ipv4(draw(SOURCES4), draw(st.sampled_from(["198.18.1.9", "198.18.9.9"])), payload, protocol, **fields)
    else:
        target = draw(st.sampled_from(["2001:db8:1::9", "2001:db8:9::9"]))
        packet = ipv6(draw(SOURCES6), target, payload, protocol)
    tail = draw(st.sampled_from([b"", b"", b"TFC" * 9]))
    return draw(st.sampled_from([packet, packet, packet + tail, packet[: draw(st.integers(0, len(packet)))]]))


@st.composite
def spoilt(draw: st.DrawFn, made: Lane) -> bytes:
    """An ESP packet, perhaps with something wrong at any layer."""
    body, number = draw(inner_packets()), draw(st.integers(0, 200))
    right = 4 if body[:1] and body[0] >> 4 == 4 else 41
    next_header = draw(st.sampled_from([right] * 8 + [4, 41, 59, 17]))
    tail = None
    if draw(st.integers(0, 9)) == 0:
        length = (-len(body)) % made.key.block + draw(st.integers(1, 3)) * made.key.block
        tail = draw(st.binary(min_size=length, max_size=length))
    packet = made.packet(number, body, next_header, tail)
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(packet) - 1))
        packet = packet[:at] + bytes([packet[at] ^ draw(st.integers(1, 255))]) + packet[at + 1 :]
    if draw(st.integers(0, 19)) == 0:
        packet = packet[: draw(st.integers(0, len(packet)))]
    return packet


def agree(data: st.DataObject, made: Lane, largest: int = 40) -> None:
    made.engine.own_addresses(OWN)
    judge = reference(made.spec, OWN)
    for _ in range(data.draw(st.integers(1, 3 * 40 // largest))):
        batch = data.draw(st.lists(spoilt(made), min_size=1, max_size=largest))
        before = made.drops()
        delivered = made.put(*batch)
        dropped = {name: n - before.get(name, 0) for name, n in made.drops().items() if n != before.get(name, 0)}
        assert (delivered, dropped) == expected(judge, batch)
    made.engine.stop()


@QUICK
@given(st.data(), st.sampled_from(sorted(SUITES)), st.sampled_from([32, 33, 64, 100, 1024]))
def test_received_packets_fare_as_in_the_reference(data: st.DataObject, suite: str, window: int) -> None:
    agree(data, lane(suite=SUITES[suite], window=window, local_ts=LOCAL, remote_ts=REMOTE))


@settings(QUICK, max_examples=15)
@given(st.data(), st.sampled_from(sorted(PROVIDERS)))
def test_received_packets_fare_as_in_the_reference_with_each_provider(data: st.DataObject, provider: str) -> None:
    suite = data.draw(
        st.sampled_from(["aes128gcm16", "aes256gcm16", "chacha20poly1305", "aes128-sha256", "aes256gcm16iiv"])
    )
    agree(data, lane(provider, suite=SUITES[suite], window=64, local_ts=LOCAL, remote_ts=REMOTE))


@settings(QUICK, max_examples=30)
@given(st.data())
def test_received_packets_fare_as_in_the_reference_with_extended_numbers(data: st.DataObject) -> None:
    """One by one: within a batch the plane infers all high halves from the window as it stood before."""
    suite = EspSuite(data.draw(st.sampled_from([20, 30])), 256, esn=True)
    agree(data, lane(suite=suite, window=64, local_ts=LOCAL, remote_ts=REMOTE), largest=1)


@QUICK
@given(st.lists(inner_packets(), min_size=1, max_size=80), st.sampled_from(sorted(SUITES)), st.booleans())
def test_sealed_packets_are_those_of_the_reference(packets: list[bytes], suite: str, esn: bool) -> None:
    chosen = SUITES[suite]
    chosen = EspSuite(chosen.encr_id, chosen.key_bits, chosen.integ_id, esn)
    everything = (network("0.0.0.0/0"), network("::/0"))
    engine, key = make(), esp_key(chosen, 20)
    engine.install(child(suite=chosen, local_ts=everything, remote_ts=everything))
    sealed = [packet for _, packet in engine.send_inner(packets)]
    well_formed = [packet for packet in packets if parsed(packet)]
    assert engine.counters()["drop_outbound_header"] == len(packets) - len(well_formed)
    ivs = [packet[8 : 8 + key.iv_len] for packet in sealed]
    assert sealed == [
        seal_inner(key, SPI_OUT, number, iv, packet, esn=esn)
        for number, (iv, packet) in enumerate(zip(ivs, well_formed, strict=True), start=1)
    ]
    if key.iv_len == 8:
        assert ivs == [number.to_bytes(8, "big") for number in range(1, len(sealed) + 1)]
    engine.stop()


def parsed(packet: bytes) -> Inner | None:
    try:
        return parse_inner(packet)
    except Refused:
        return None


@settings(QUICK, max_examples=100)
@given(st.lists(inner_packets(), max_size=20), st.lists(st.tuples(st.sampled_from(LOCAL), st.sampled_from(REMOTE))))
def test_outbound_policy_is_the_first_rule_that_matches(
    packets: list[bytes], rules: list[tuple[Selector, Selector]]
) -> None:
    actions = ("bypass", "discard", "protect")
    engine = make()
    engine.policies([Policy(actions[n % 3], (r,), (o,), n // 2, "p", str(n)) for n, (o, r) in enumerate(rules)])
    for packet in packets:
        inner = parsed(packet)
        if inner is None:
            continue
        sport, dport = inner.ports or (None, None)
        wanted = next(
            (
                actions[n % 3]
                for n, (own, other) in enumerate(rules)
                if matches(other, inner.source, inner.protocol, sport)
                and matches(own, inner.destination, inner.protocol, dport)
            ),
            "none",
        )
        assert engine.match(packet) == wanted
    engine.stop()
