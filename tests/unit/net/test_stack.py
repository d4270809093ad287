"""The stack below the sockets: the library found or refused, and what of the network it takes."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fynx.api.datagram import Datagram
from fynx.net import library
from fynx.net._lwip import ffi, lib

ROOT = Path(__file__).resolve().parents[3]
HERE, THERE, HERE6, THERE6 = "192.0.2.55", "203.0.113.9", "2001:db8::55", "2001:db8::9"


@pytest.fixture(scope="module")
def net() -> Iterator[Any]:
    library.load()
    made = lib.fynx_net_new(ip_address(HERE).packed, ip_address(HERE6).packed, 1400)
    yield made
    lib.fynx_net_free(made)


def counted(net: Any) -> Any:
    found = ffi.new("struct fynx_net_counters *")
    lib.fynx_net_count(net, found)
    return found


def give(net: Any, *packets: bytes) -> None:
    records = b"".join(struct.pack("=I", len(one)) + one + bytes(-len(one) % 4) for one in packets)
    lib.fynx_net_input(net, records, len(records))


def taken(net: Any) -> list[bytes]:
    """What the stack wants to send."""
    room, lengths = ffi.new("uint8_t[]", 1 << 20), ffi.new("uint32_t[]", 256)
    count = lib.fynx_net_output(net, room, 1 << 20, lengths, 256)
    found, at = [], 0
    for length in lengths[0:count]:
        found.append(bytes(ffi.buffer(room + at, length)))
        at += length
    return found


def loading(soname: str) -> str:
    code = f"from fynx.net import library; library.SONAME = {soname!r}; library.load()"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT).stderr


def test_without_the_library_the_line_to_install_it_is_told() -> None:
    code = (
        "from fynx.net import library\nfrom fynx.faults import Io\nlibrary.SONAME = 'libnothing.so.0'\n"
        "try: library.load()\nexcept Io as error: print(error, '|', error.remedy)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert "libnothing.so.0 is not installed" in said
    assert "apt-get install -y liblwip0" in said


def test_the_doctor_tells_of_the_missing_library_and_needs_it_not() -> None:
    code = (
        "from fynx.net import library; from fynx.cli.doctor import libraries; library.SONAME = 'libnothing.so.0';"
        "print([(one.verdict, one.remedy) for one in libraries(None) if one.name == 'lwip'])"
    )
    environment = {**os.environ, "FYNX_CONFIG": "/nonexistent"}
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=environment
    ).stdout
    assert said == "[('warn', 'sudo apt-get install -y liblwip0')]\n"


def test_another_library_is_refused_by_what_it_lacks() -> None:
    assert "libc.so.6 has no lwip_init" in loading("libc.so.6")


def test_a_build_with_other_structures_is_refused(tmp_path: Path) -> None:
    """A library with all the names, whose packets carry their length elsewhere."""
    names = re.findall(r"X\([^,]+, (\w+),", (ROOT / "cext/net/lwip.h").read_text())
    assert len(names) > 30
    source = tmp_path / "other.c"
    lines = [f"long {name}(void) {{ return 0; }}" for name in names if name != "pbuf_alloc"]
    source.write_text("\n".join(["unsigned tcp_ticks; char a[64]; void *pbuf_alloc(void) { return a; }", *lines]))
    subprocess.run(["cc", "-w", "-shared", "-fPIC", str(source), "-o", str(tmp_path / "other.so")], check=True)
    assert "another way than Debian's liblwip0" in loading(str(tmp_path / "other.so"))


FIELDS = {
    "netif": ("input", "output", "output_ip6", "state", "mtu", "mtu6", "hwaddr_len", "flags"),
    "pbuf": ("payload", "tot_len", "len"),
    "tcp_pcb": ("prio", "local_port", "remote_port", "flags", "mss", "snd_buf"),
}
OURS = {"netif": "lwip_netif", "pbuf": "lwip_pbuf", "tcp_pcb": "lwip_tcp"}


def test_our_structures_are_those_of_debians_headers(tmp_path: Path) -> None:
    """Two programs, since both headers define what the other does: one prints theirs, one prints ours."""
    found = []
    for kind in ("theirs", "ours"):
        include = (
            '#include "lwip/netif.h"\n#include "lwip/tcp.h"\n#include "lwip/pbuf.h"'
            if kind == "theirs"
            else '#include "net/lwip.h"'
        )
        lines = [
            f'printf("{name}.{field} %zu\\n", offsetof(struct {name if kind == "theirs" else OURS[name]}, {field}));'
            for name, fields in FIELDS.items()
            for field in fields
        ]
        source = tmp_path / f"{kind}.c"
        source.write_text(
            "\n".join(["#include <stdio.h>", "#include <stddef.h>", include, "int main(void) {", *lines, "}"])
        )
        program = tmp_path / kind
        places = ["-I/usr/include/lwip", f"-I{ROOT / 'cext'}"]
        subprocess.run(["cc", "-w", *places, str(source), "-o", str(program)], check=True)
        found.append(subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout)
    assert found[0] == found[1]


def test_a_packet_for_another_address_is_not_ours(net: Any) -> None:
    """Nothing is forwarded from one tunnel into another, whatever lwIP's own routes say."""
    before = counted(net)
    give(net, Datagram(THERE, "192.0.2.56", b"x").packet(), b"", b"\x45" * 10, b"\x75" * 60)
    assert counted(net).not_ours - before.not_ours == 4
    assert counted(net).packets_in == before.packets_in
    assert taken(net) == []


@pytest.mark.parametrize("source", [HERE, "224.0.0.1"])
def test_a_packet_from_our_own_address_or_from_many_is_refused(net: Any, source: str) -> None:
    before = counted(net)
    give(net, Datagram(source, HERE, b"x").packet())
    assert counted(net).own_source - before.own_source == 1


def test_a_ping_is_answered(net: Any) -> None:
    """Against scapy: another's packets and another's checksums."""
    from scapy.layers.inet import ICMP, IP
    from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6

    give(
        net,
        bytes(IP(src=THERE, dst=HERE) / ICMP(id=7, seq=1) / b"four"),
        bytes(IPv6(src=THERE6, dst=HERE6) / ICMPv6EchoRequest(id=7, seq=1, data=b"six")),
    )
    four, six = taken(net)
    assert (IP(four)[ICMP].type, IP(four).dst, bytes(IP(four)[ICMP].payload)) == (0, THERE, b"four")
    assert (IPv6(six)[ICMPv6EchoReply].data, IPv6(six).dst) == (b"six", THERE6)


SEEDS = [
    Datagram(THERE, HERE, b"data").packet(),
    Datagram(THERE6, HERE6, b"data").packet(),
    bytes.fromhex("45000028000100004006") + bytes(2) + ip_address(THERE).packed + ip_address(HERE).packed + bytes(20),
]


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=12), st.binary())
@settings(max_examples=400)
def test_no_packet_ends_the_process(net: Any, seed: bytes, changes: list[tuple[int, int]], tail: bytes) -> None:
    """Altered packets that still come for our address reach lwIP, which asserts rather than refuses in places."""
    changed = bytearray(seed + tail)
    for at, value in changes:
        changed[at % len(changed)] = value
    head = slice(16, 20) if changed[0] >> 4 == 4 else slice(24, 40)
    changed[head] = ip_address(HERE if changed[0] >> 4 == 4 else HERE6).packed
    give(net, bytes(changed))
    taken(net)
    lib.fynx_net_tick(net)
