"""Key records for Wireshark: a hook of its own, called only when the configuration asks for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class IkeKeyRecord:
    spi_i: bytes
    spi_r: bytes
    sk_ei: bytes
    sk_er: bytes
    sk_ai: bytes
    sk_ar: bytes
    encr_id: int
    key_bits: int
    integ_id: int


@dataclass(frozen=True, slots=True, repr=False)
class EspKeyRecord:
    """One direction of a Child SA. ``key`` ends with the salt where the cipher has one."""

    source: str
    destination: str
    spi: int
    encr_id: int
    key_bits: int
    integ_id: int
    key: bytes
    integ_key: bytes


KeyRecord = IkeKeyRecord | EspKeyRecord
