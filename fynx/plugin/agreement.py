"""Trust in an algorithm that Fynx has no answers for: the plugin's two implementations must agree, octet for octet.

A plugin that brings a ``Cipher`` proves it by its own ``fynx_selftest``; a ``fynx_aead_ops`` of the same transform is
then held against that ``Cipher`` before a packet goes through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fynx.errors import CryptoError
from fynx.plugin.crypto import Cipher, CipherKey
from fynx.plugin.selftest import OpsCalls, OpsPacket, expect, flip, refuses, stream

LENGTHS = (0, 1, 2, 3, 4, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1400, 1500, 9000)
BATCH = (0, 1, 16, 100, 576, 1400, 33, 64)


def check_lengths(cipher: Cipher) -> None:
    """The sizes that the ``Cipher`` declares are those of its octets. Raises ``CryptoError``."""
    made = _key(cipher)
    for length in (0, 1, 64, 1400):
        packet = _packet(cipher, length)
        sealed = made.seal(packet.iv, packet.text, packet.aad if cipher.aead else b"")
        if len(sealed) != len(packet.text) + cipher.icv_len:
            given = len(sealed) - len(packet.text)
            raise CryptoError(f"cipher {cipher.keyword} declares an ICV of {cipher.icv_len} octets and adds {given}")
        expect(cipher.keyword, made.open(packet.iv, sealed, packet.aad if cipher.aead else b""), packet.text)


def check_agreement(address: int, cipher: Cipher, calls: OpsCalls) -> None:
    """Every length, forgeries, batches with one bad packet in each place. Raises ``CryptoError``."""
    if not cipher.aead:
        raise CryptoError(f"self-test of {cipher.keyword}: no known answer, and only an AEAD can be compared")
    check_lengths(cipher)
    made, key, salt = _key(cipher), *_secrets(cipher)
    for length in LENGTHS:
        for esn in (False, True):
            packet = _packet(cipher, length, esn=esn)
            sealed = made.seal(packet.iv, packet.text, packet.aad)
            name = f"{cipher.keyword}, {length} octets"
            expect(name, calls.seal(address, key, salt, packet.iv, packet.aad, packet.text), sealed)
            expect(name, calls.open(address, key, salt, packet.iv, packet.aad, sealed), packet.text)
    _forgeries(address, cipher, calls)
    _batches(address, cipher, calls)


def _forgeries(address: int, cipher: Cipher, calls: OpsCalls) -> None:
    made, key, salt = _key(cipher), *_secrets(cipher)
    packet = _packet(cipher, 64, esn=True)
    good = replace(packet, text=made.seal(packet.iv, packet.text, packet.aad))
    forged = [replace(good, text=flip(good.text, place)) for place in (0, 63, *range(64, len(good.text)))]
    forged += [replace(good, aad=flip(good.aad, place)) for place in range(len(good.aad))]
    forged += [replace(good, iv=flip(good.iv, place)) for place in range(len(good.iv))]
    for bad in forged:
        refuses(f"{cipher.keyword}: a forged packet", calls.open, address, key, salt, bad.iv, bad.aad, bad.text)


def _batches(address: int, cipher: Cipher, calls: OpsCalls) -> None:
    if calls.batch is None:
        return
    made, (key, salt) = _key(cipher), _secrets(cipher)
    packets = [_packet(cipher, length, esn=bool(length & 1)) for length in BATCH]
    closed = [replace(one, text=made.seal(one.iv, one.text, one.aad)) for one in packets]
    sealed = calls.batch(address, key, salt, packets, False)
    if list(sealed) != [one.text for one in closed]:
        raise CryptoError(f"self-test of {cipher.keyword}: a batch in place differs")
    for bad in range(-1, len(closed)):
        tried = _spoilt(closed, bad)
        wanted = [None if place == bad else one.text for place, one in enumerate(packets)]
        if list(calls.batch(address, key, salt, tried, True)) != wanted:
            raise CryptoError(f"self-test of {cipher.keyword}: a batch with one bad packet")


def _spoilt(closed: Sequence[OpsPacket], bad: int) -> list[OpsPacket]:
    tried = list(closed)
    if bad >= 0:
        tried[bad] = replace(tried[bad], text=flip(tried[bad].text, len(tried[bad].text) - 1))
    return tried


def _secrets(cipher: Cipher) -> tuple[bytes, bytes]:
    return stream(cipher.key_bits // 8, b"key"), stream(cipher.salt_len, b"salt")


def _key(cipher: Cipher) -> CipherKey:
    return cipher.key(b"".join(_secrets(cipher)))


def _packet(cipher: Cipher, length: int, *, esn: bool = False) -> OpsPacket:
    rounded = length - length % max(1, cipher.block_len)
    return OpsPacket(stream(cipher.iv_len, b"iv"), stream(12 if esn else 8, b"aad"), stream(rounded, b"plain"))


__all__ = ["check_agreement", "check_lengths"]
