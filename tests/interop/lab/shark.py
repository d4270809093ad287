"""Second opinions on what we captured: tshark with Fynx's key file, and scapy where tshark knows no cipher."""

from __future__ import annotations

import csv
import warnings
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from lab.netns import run

PREFERENCES = ("esp.enable_encryption_decode:TRUE", "esp.enable_authentication_check:TRUE")


@dataclass(frozen=True, slots=True)
class EspKey:
    """One direction of a Child SA as the key file tells it. ``key`` ends with the salt."""

    source: str
    destination: str
    spi: int
    key: bytes


def fields(pcap: Path, keys: Path, wanted: str, *names: str) -> list[tuple[str, ...]]:
    """One row of field values for each packet that matches the display filter ``wanted``, opened with the key file.

    Repeated fields are joined by commas; the rows keep the order of the capture.
    """
    tables = [line for line in keys.read_text().splitlines() if line.startswith("uat:")]
    options = [item for preference in (*PREFERENCES, *tables) for item in ("-o", preference)]
    columns = [item for name in names for item in ("-e", name)]
    reading = ("env", f"WIRESHARK_CONFIG_DIR={pcap.parent}", "tshark", "-n", "-r", str(pcap), *options)
    text = run(*reading, "-Y", wanted, "-T", "fields", "-E", "occurrence=a", *columns, within_s=100.0)
    return [tuple(line.split("\t")) for line in text.splitlines()]


def esp_keys(keys: Path) -> list[EspKey]:
    """Child SA keys of the key file, those too that it writes as comments since Wireshark lacks their cipher."""
    rows = [line.split("uat:esp_sa:", 1)[1] for line in keys.read_text().splitlines() if "uat:esp_sa:" in line]
    return [
        EspKey(row[1], row[2], int(row[3], 16), bytes.fromhex(row[5].removeprefix("0x"))) for row in csv.reader(rows)
    ]


def open_chacha20(key: EspKey, packet: bytes) -> tuple[str, str, bytes]:
    """Open an ESP packet of ChaCha20-Poly1305 in tunnel mode with scapy: inner source, destination, and payload."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scapy announces ciphers that its own library retires
        from scapy.layers.inet import IP
        from scapy.layers.ipsec import ESP, SecurityAssociation

        association = SecurityAssociation(
            ESP,
            spi=key.spi,
            crypt_algo="CHACHA20-POLY1305",
            crypt_key=key.key,
            tunnel_header=IP(src=key.source, dst=key.destination),
        )
        outer = IP(src=key.source, dst=key.destination, proto=50) / ESP(packet)
        inside = association.decrypt(IP(bytes(outer)))
        return inside.src, inside.dst, bytes(inside.payload)


def octets(*addresses: str) -> bytes:
    """The addresses as they would stand beside each other in an IP header."""
    return b"".join(ip_address(address).packed for address in addresses)
