"""The loops with frames of many packets: every combination of offloads between a device and loopback sockets."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import select
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from fynx.errors import StateError
from fynx.esp.engine import Engine
from fynx.plugin.dataplane import ChildSpec, IkeArrived
from fynx.plugin.engine import EngineOptions
from fynx.plugin.transport import Path
from tests.unit.esp.frames import ACK, CWR, SYN, TCP, UDP, Frame, cut, summed, superframe, tcp, udp, with_ip
from tests.unit.esp.workshop import SPI_IN, SPI_OUT, SUITES, child, esp_key, make, mirror, network, seal, trailer

LOCAL = (network("198.18.1.0/24"), network("fd00:1::/64"))
REMOTE = (network("198.18.2.0/24"), network("fd00:2::/64"))
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
UDP_GRO, UDP_SEGMENT = 104, 103


@dataclass(slots=True)
class Gateway:
    """An engine between an inner device with virtio-net headers, whose other end is ``host``, and an outer socket."""

    engine: Engine
    host: socket.socket
    sock: socket.socket
    vnet: bool

    @property
    def port(self) -> int:
        return int(self.sock.getsockname()[1])

    def path_to(self, other: Gateway) -> Path:
        address = LOOPBACK[socket.AddressFamily(self.sock.family)]
        return Path(address, self.port, address, other.port)

    def put(self, frame: Frame) -> None:
        for each in [frame] if self.vnet else [Frame(packet) for packet in cut(frame)]:
            self.host.send((each.header if self.vnet else b"") + each.data)

    def frame(self) -> Frame:
        octets = self.host.recv(1 << 17)
        return Frame.parse(octets) if self.vnet else Frame(octets)

    def take(self, count: int) -> list[bytes]:
        """As many packets, whatever frames they come in."""
        found: list[bytes] = []
        while len(found) < count:
            found += cut(self.frame())
        return found


@contextlib.contextmanager
def gateway(options: EngineOptions, family: socket.AddressFamily = socket.AF_INET) -> Iterator[Gateway]:
    host, device = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    host.settimeout(40)
    with host, device, socket.socket(family, socket.SOCK_DGRAM) as sock:
        for end in (host, device):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sock.bind((LOOPBACK[family], 0))
        made = Gateway(make(inproc=False), host, sock, options.vnet == "force")
        made.engine.configure(options)
        made.engine.add_socket(sock.fileno(), family, made.port)
        made.engine.add_tun(device.fileno(), 1400)
        made.engine.start()
        yield made
        made.engine.stop()


@contextlib.contextmanager
def pair(
    near: EngineOptions, far: EngineOptions, family: socket.AddressFamily = socket.AF_INET
) -> Iterator[tuple[Gateway, Gateway, ChildSpec]]:
    with gateway(near, family) as left, gateway(far, family) as right:
        spec = child(path=left.path_to(right), local_ts=LOCAL, remote_ts=REMOTE, window=4096)
        left.engine.install(spec)
        right.engine.install(mirror(spec, path=right.path_to(left)))
        yield left, right, spec


ON = EngineOptions(vnet="force")
SETTINGS = [
    EngineOptions(vnet, uso, gso, gro)  # type: ignore[arg-type]
    for vnet, uso, gso, gro in itertools.product(("force", "off"), ("auto", "off"), ("auto", "off"), ("auto", "off"))
]
FAMILIES = [socket.AF_INET, socket.AF_INET6]


def octets(length: int, seed: int) -> bytes:
    return hashlib.shake_128(bytes([seed])).digest(length)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("options", SETTINGS, ids=lambda o: "-".join((o.vnet, o.uso, o.gso, o.gro)))
def test_E28_frames_arrive_as_the_packets_they_stand_for(options: EngineOptions, family: socket.AddressFamily) -> None:
    with pair(options, ON, family) as (left, right, _):
        for seed, (protocol, version, length, size) in enumerate(
            itertools.product((TCP, UDP), (4, 6), (1, 1348, 5000, 60000), (536, 1348, 8000))
        ):
            frame = superframe(protocol, version, octets(length, seed), size, bits=ACK | CWR)
            left.put(frame)
            assert right.take(len(cut(frame))) == cut(frame)
        assert left.engine.counters()["packets_out"] == right.engine.counters()["packets_in"]
        assert [name for name, n in right.engine.counters().items() if name.startswith("drop_") and n] == []


def test_a_frame_travels_in_one_call_each_way_and_status_tells() -> None:
    with pair(ON, ON) as (left, right, _):
        frame = superframe(TCP, 4, octets(40 * 1348, 1), 1348)
        left.put(frame)
        assert right.frame().data[:20] == frame.data[:20]
        status = left.engine.status()
        assert status["offloads"] == dict.fromkeys(("vnet", "tso", "uso", "gso", "gro"), True)
        assert status["rates"]["packets_per_read"] == status["rates"]["packets_per_send"] == 40.0  # type: ignore[index]
        rates = right.engine.status()["rates"]
        assert rates["packets_per_receive"] == rates["packets_per_write"] == 40.0  # type: ignore[index]


def test_without_offloads_status_tells_so() -> None:
    off = EngineOptions("off", "off", "off", "off")
    with pair(off, off) as (left, right, _):
        left.put(Frame(tcp(4, b"x")))
        assert right.take(1) == [tcp(4, b"x")]
        assert left.engine.status()["offloads"] == dict.fromkeys(("vnet", "tso", "uso", "gso", "gro"), False)
        assert right.engine.status()["rates"] == {"packets_per_receive": 1.0, "packets_per_write": 1.0}


def test_options_come_before_sockets() -> None:
    with gateway(ON) as left, pytest.raises(StateError):
        left.engine.configure(EngineOptions())


def test_small_datagrams_of_a_frame_beyond_64_keep_their_order() -> None:
    with pair(ON, ON) as (left, right, _):
        frame, before, behind = (
            superframe(UDP, 4, octets(200 * 64, 5), 64),
            udp(4, b"1st", id=9),
            udp(4, b"last", port=7),
        )
        left.put(Frame(before))
        left.put(frame)
        left.put(Frame(behind))
        assert right.take(202) == [before, *cut(frame), behind]


def test_frames_of_associations_with_more_and_less_around_a_packet_take_turns() -> None:
    with pair(ON, ON) as (left, right, _):
        changes = {"spi_in": SPI_IN + 1, "spi_out": SPI_OUT + 1, "suite": SUITES["aes256-sha512"], "window": 4096}
        spec = child(2, path=left.path_to(right), local_ts=LOCAL[1:], remote_ts=REMOTE[1:], **changes)
        left.engine.install(spec)
        right.engine.install(mirror(spec, path=right.path_to(left)))
        frames = [superframe(TCP, 4 + n % 2 * 2, octets(700 * (5 + n), n), 700) for n in range(6)]
        for frame in frames:
            left.put(frame)
        assert right.take(sum(len(cut(frame)) for frame in frames)) == [each for frame in frames for each in cut(frame)]
        assert [left.engine.usage(handle).packets_out for handle in (1, 2)] == [5 + 7 + 9, 6 + 8 + 10]


def esp(spec: ChildSpec, number: int, packet: bytes) -> bytes:
    """Sealed for the right gateway by the reference."""
    key = esp_key(spec.suite, 20)
    body = packet + trailer(key, len(packet), 4)
    return seal(key, SPI_OUT, number, number.to_bytes(key.iv_len, "big"), body, esn=False)


def test_E28_a_buffer_may_mix_associations_and_end_in_ike_or_a_keepalive() -> None:
    with pair(ON, ON) as (_left, right, spec):
        packets = [udp(4, bytes([n]) * 100, id=n) for n in range(4)]
        good = [esp(spec, n + 1, packet) for n, packet in enumerate(packets)]
        size = len(good[0])
        strange = struct.pack(">I", 0x0BADBAD0) + good[2][4:]
        for tail in (bytes(4) + b"an IKE message", b"\xff"):
            ike = bytes(4) + b"I" * (size - 4)
            batch = [good.pop(0), ike, strange, good.pop(0), tail]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                control = [(socket.SOL_UDP, UDP_SEGMENT, struct.pack("=H", size))]
                sender.sendmsg([b"".join(batch)], control, 0, ("127.0.0.1", right.port))
            assert right.take(2) == [packets.pop(0), packets.pop(0)]
            assert select.select([right.engine.event_fd], [], [], 40)[0]
        counted = right.engine.counters()
        assert counted["ike_messages"] == 3
        assert counted["keepalives"] == 1
        assert counted["drop_unknown_spi"] == 2
        assert counted["receive_buffers"] == 2
        arrived = [each.data for each in right.engine.drain() if isinstance(each, IkeArrived)]
        assert arrived == [b"I" * (size - 4), b"an IKE message", b"I" * (size - 4)]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_traffic_class_goes_outside_and_marks_come_in(family: socket.AddressFamily) -> None:
    with pair(ON, ON, family) as (left, right, spec), socket.socket(family, socket.SOCK_DGRAM) as sink:
        sink.bind((LOOPBACK[family], 0))
        sink.settimeout(40)
        four = family == socket.AF_INET
        level, option, told = (0, 13, 1) if four else (socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, socket.IPV6_TCLASS)
        sink.setsockopt(level, option, 1)
        address = LOOPBACK[family]
        left.engine.move(1, Path(address, left.port, address, sink.getsockname()[1]), encap=True)
        for version in (4, 6):
            left.put(superframe(TCP, version, octets(3000, 1), 1000, tos=0xB9))
            for _ in range(3):
                _, control, _, _ = sink.recvmsg(2048, 256)
                assert [data[0] for at, kind, data in control if (at, kind) == (level, told)] == [0xB9]
        set_tos = socket.IP_TOS if four else socket.IPV6_TCLASS
        cases = [(0, 0, 0), (1, 2, 1), (3, 2, 3), (3, 1, 3), (3, 3, 3), (2, 0, 0), (1, 1, 1), (0, 3, 3), (3, 0, None)]
        for number, (outer, inner, wanted) in enumerate(cases, 1):
            sink.setsockopt(level, set_tos, outer)
            sink.sendto(esp(spec, number, udp(4, b"x", tos=inner)), (address, right.port))
            if wanted is not None:
                assert right.take(1) == [udp(4, b"x", tos=wanted)]
        sink.setsockopt(level, set_tos, 0)
        sink.sendto(esp(spec, 50, udp(4, b"last")), (address, right.port))
        assert right.take(1) == [udp(4, b"last")]
        assert right.engine.usage(1).drops == {"congestion": 1}


def test_E28_a_frame_that_makes_no_sense_costs_itself_alone() -> None:
    with pair(ON, ON) as (left, right, _):
        left.put(Frame(bytes(100), 1, 1, 0, 10, 20, 16))
        left.put(Frame(udp(4, b"next")))
        assert right.take(1) == [udp(4, b"next")]
        assert left.engine.counters()["drop_tun_frame"] == 1


def syn(version: int, options: bytes) -> bytes:
    """A SYN with these options, which are whole words."""
    head = struct.pack(">HHIIBBHHH", 2000, 1000, 7, 0, (5 + len(options) // 4) << 4, SYN, 500, 0, 0)
    return summed(with_ip(version, TCP, head + options), TCP, 20 if version == 4 else 40)


@pytest.mark.parametrize(("version", "most"), [(4, 1360), (6, 1340)])
def test_the_segment_size_that_tcp_offers_is_lowered_to_the_device(version: int, most: int) -> None:
    lowered = most.to_bytes(2, "big")
    with pair(ON, ON) as (left, right, _):
        for given, wanted in (
            (b"\2\4\x05\xb4", b"\2\4" + lowered),
            (b"\1\1\2\4\x23\x28\4\2", b"\1\1\2\4" + lowered + b"\4\2"),
            (b"\2\4\x02\0", b"\2\4\x02\0"),
            (b"\0\0\0\0\2\4\x23\x28", b"\0\0\0\0\2\4\x23\x28"),
            (b"\5\0\0\0\2\4\x23\x28", b"\5\0\0\0\2\4\x23\x28"),
            (b"\1\1\2\4", b"\1\1\2\4"),
            (b"", b""),
        ):
            left.put(Frame(syn(version, given)))
            assert right.take(1) == [syn(version, wanted)]
