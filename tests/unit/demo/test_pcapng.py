"""The pcapng that the demo writes is read by another program as it was meant."""

from __future__ import annotations

import io

from scapy.utils import RawPcapNgReader

from fynx.demo.pcapng import ETHERNET, RAW_IP, PcapngWriter, option


def written(link_type: int, *packets: tuple[int, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    writer = PcapngWriter(file, link_type=link_type, interface="to-bob", comment="for a test")
    for time_ns, data in packets:
        writer.packet(time_ns, data)
    file.seek(0)
    return file


def test_packets_come_back_with_their_octets_and_nanoseconds() -> None:
    packets = [(1_700_000_000_123_456_789, b"odd length"), (1_700_000_001_000_000_001, b"four" * 4)]
    read = list(RawPcapNgReader(written(ETHERNET, *packets)))
    assert [data for data, _ in read] == [data for _, data in packets]
    assert [(meta.tshigh << 32 | meta.tslow, meta.tsresol) for _, meta in read] == [(t, 10**9) for t, _ in packets]


def test_the_link_type_is_told() -> None:
    (_, meta), *_ = RawPcapNgReader(written(RAW_IP, (1, b"x")))
    assert meta.linktype == RAW_IP


def test_an_empty_option_is_left_out_but_the_end_is_not() -> None:
    assert option(2, b"") == b""
    assert option(0) == bytes(4)
