"""What we seal, strangers open: scapy with every suite and both ways, tshark with those that it knows."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from scapy.layers.inet import IP
from scapy.layers.ipsec import ESP, SecurityAssociation

from fynx.esp.engine import Engine
from tests.unit.esp.workshop import SPI_IN, SPI_OUT, SUITES, WEST, child, inbound, key_material, make, outbound

SCAPY = {
    "aes128gcm16": ("AES-GCM", None),
    "aes192gcm16": ("AES-GCM", None),
    "aes256gcm16": ("AES-GCM", None),
    "chacha20poly1305": ("CHACHA20-POLY1305", None),
    "aes128-sha256": ("AES-CBC", "SHA2-256-128"),
    "aes256-sha384": ("AES-CBC", "SHA2-384-192"),
    "aes256-sha512": ("AES-CBC", "SHA2-512-256"),
}
TSHARK = {
    "aes128gcm16": ("AES-GCM with 16 octet ICV [RFC4106]", "NULL"),
    "aes256gcm16": ("AES-GCM with 16 octet ICV [RFC4106]", "NULL"),
    "aes128-sha256": ("AES-CBC [RFC3602]", "HMAC-SHA-256-128 [RFC4868]"),
    "aes256-sha512": ("AES-CBC [RFC3602]", "HMAC-SHA-512-256 [RFC4868]"),
}
LENGTHS = (0, 1, 2, 3, 100, 1300)


def split_key(suite: str, seed: int) -> tuple[bytes, bytes]:
    """Encryption key with its salt, and integrity key."""
    keys, bits = key_material(SUITES[suite], seed), SUITES[suite].key_bits or 256
    octets = keys.key.reveal()
    return octets[: bits // 8] + keys.salt.reveal(), octets[bits // 8 :]


def association(suite: str, spi: int, seed: int) -> SecurityAssociation:
    cipher, integrity = SCAPY[suite]
    key, integrity_key = split_key(suite, seed)
    return SecurityAssociation(
        ESP,
        spi=spi,
        crypt_algo=cipher,
        crypt_key=key,
        auth_algo=integrity,
        auth_key=integrity_key or None,
        tunnel_header=IP(src="192.0.2.1", dst="192.0.2.2"),
    )


def sealing(suite: str) -> Engine:
    engine = make()
    engine.install(child(suite=SUITES[suite]))
    return engine


@pytest.mark.parametrize("suite", SCAPY)
def test_scapy_opens_what_we_seal(suite: str) -> None:
    engine, theirs = sealing(suite), association(suite, SPI_OUT, 20)
    for length in LENGTHS:
        (sealed,) = [data for _, data in engine.send_inner([outbound(bytes(length))])]
        packet = IP(src="192.0.2.1", dst="192.0.2.2", proto=50) / ESP(sealed)
        assert bytes(theirs.decrypt(packet)) == outbound(bytes(length))


@pytest.mark.parametrize("suite", SCAPY)
def test_we_open_what_scapy_seals(suite: str) -> None:
    engine, theirs = sealing(suite), association(suite, SPI_IN, 10)
    for length in LENGTHS:
        sealed = theirs.encrypt(IP(inbound(bytes(length))))
        engine.receive_outer(WEST, [bytes(sealed[ESP])])
        assert [IP(got)[IP].payload for got in engine.recv_inner()] == [IP(inbound(bytes(length))).payload]


def capture(packets: list[bytes], file: Path) -> None:
    """A pcap of raw IP packets that carry ESP in UDP (RFC 3948)."""
    octets = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    for packet in packets:
        datagram = struct.pack(">HHHH", 4500, 4500, 8 + len(packet), 0) + packet
        whole = bytes(IP(src="192.0.2.1", dst="192.0.2.2", proto=17) / datagram)
        octets += struct.pack("<IIII", 0, 0, len(whole), len(whole)) + whole
    file.write_bytes(octets)


@pytest.mark.parametrize("suite", TSHARK)
def test_tshark_reads_what_we_seal(suite: str, tmp_path: Path) -> None:
    sealed = sealing(suite).send_inner([outbound(b"canary %04d" % n) for n in range(20)])
    packets = [data for _, data in sealed]
    capture([*packets, packets[0][:-1] + bytes([packets[0][-1] ^ 1])], tmp_path / "esp.pcap")
    key, integrity_key = split_key(suite, 20)
    cipher, integrity = TSHARK[suite]
    fields = ["IPv4", "192.0.2.1", "192.0.2.2", f"0x{SPI_OUT:08x}", cipher, f"0x{key.hex()}", integrity]
    fields += [f"0x{integrity_key.hex()}" if integrity_key else "", "32-bit", "0"]
    association = ",".join(f'"{field}"' for field in fields)
    command = ["tshark", "-r", str(tmp_path / "esp.pcap"), "-o", "esp.enable_encryption_decode:TRUE"]
    command += ["-o", "esp.enable_authentication_check:TRUE", "-o", f"uat:esp_sa:{association}"]
    command += ["-T", "fields", "-e", "esp.sequence", "-e", "data.data", "-e", "esp.icv_good"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    wanted = [f"{n + 1}\t{(b'canary %04d' % n).hex()}\t1" for n in range(20)]
    assert told == [*wanted, f"1\t{b'canary 0000'.hex()}\t0"], "the last one is forged"


@pytest.mark.parametrize("suite", ["aes128gcm16", "aes256gcm16", "chacha20poly1305"])
def test_an_implicit_iv_is_the_sequence_number_to_scapy_too(suite: str) -> None:
    """scapy knows none: the number where an explicit IV stands makes it the same packet (RFC 8750 section 4)."""
    engine, theirs = sealing(f"{suite}iiv"), association(suite, SPI_OUT, 20)
    for number, length in enumerate(LENGTHS, 1):
        (sealed,) = [data for _, data in engine.send_inner([outbound(bytes(length))])]
        explicit = sealed[:8] + number.to_bytes(8, "big") + sealed[8:]
        packet = IP(src="192.0.2.1", dst="192.0.2.2", proto=50) / ESP(explicit)
        assert bytes(theirs.decrypt(packet)) == outbound(bytes(length))
