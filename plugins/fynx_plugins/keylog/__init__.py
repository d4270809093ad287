"""Writes the keys of SAs into one file that Wireshark and tshark understand, for decrypting captures.

A line is what ``tshark -o`` takes: ``uat:ikev2_decryption_table:…`` for an IKE SA, ``uat:esp_sa:…`` for one way of a
Child SA. Without the prefix the lines are those of Wireshark's files of the same names. ChaCha20-Poly1305 is unknown to
Wireshark 4.0: those lines are written as comments.
"""

from __future__ import annotations

import os
from pathlib import Path

from fynx.plugin import EspKeyRecord, IkeKeyRecord, KeyRecord, hookimpl

FYNX_API = 1

AES_CBC, AES_GCM_16 = 12, 20
IKE_INTEG = {
    0: "NONE [RFC4306]",
    12: "HMAC_SHA2_256_128 [RFC4868]",
    13: "HMAC_SHA2_384_192 [RFC4868]",
    14: "HMAC_SHA2_512_256 [RFC4868]",
}
ESP_INTEG = {
    0: "NULL",
    12: "HMAC-SHA-256-128 [RFC4868]",
    13: "HMAC-SHA-384-192 [RFC4868]",
    14: "HMAC-SHA-512-256 [RFC4868]",
}
ESP_ENCR = {AES_CBC: "AES-CBC [RFC3602]", AES_GCM_16: "AES-GCM with 16 octet ICV [RFC4106]"}


@hookimpl
def fynx_keylog(record: KeyRecord, path: str) -> None:
    if path:
        append(Path(path), ike_line(record) if isinstance(record, IkeKeyRecord) else esp_line(record))


def append(path: Path, line: str) -> None:
    """One write per line, so that two hosts may share a file. Raises OSError, also when ``path`` is a symbolic link."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def ike_line(record: IkeKeyRecord) -> str:
    """A row of ikev2_decryption_table: SPIs, SK_ei, SK_er, cipher, SK_ai, SK_ar, integrity."""
    names = {
        AES_CBC: f"AES-CBC-{record.key_bits} [RFC3602]",
        AES_GCM_16: f"AES-GCM-{record.key_bits} with 16 octet ICV [RFC5282]",
    }
    encr = names.get(record.encr_id, "")
    ids = f"{record.spi_i.hex()},{record.spi_r.hex()},{record.sk_ei.hex()},{record.sk_er.hex()}"
    integ = IKE_INTEG.get(record.integ_id, "")
    row = f'uat:ikev2_decryption_table:{ids},"{encr}",{record.sk_ai.hex()},{record.sk_ar.hex()},"{integ}"'
    return row if encr and integ else f"# cipher {record.encr_id}, integrity {record.integ_id}: {row}"


def esp_line(record: EspKeyRecord) -> str:
    """A row of esp_sa: protocol, addresses, SPI, cipher with key and salt, integrity with key."""
    family = "IPv6" if ":" in record.source else "IPv4"
    encr, integ = ESP_ENCR.get(record.encr_id, ""), ESP_INTEG.get(record.integ_id, "")
    integ_key = f"0x{record.integ_key.hex()}" if record.integ_key else ""
    source, destination = record.source or "*", record.destination or "*"
    ends = f'"{family}","{source}","{destination}","0x{record.spi:08x}"'
    row = f'uat:esp_sa:{ends},"{encr}","0x{record.key.hex()}","{integ}","{integ_key}"'
    return row if encr and integ else f"# cipher {record.encr_id}, integrity {record.integ_id}: {row}"
