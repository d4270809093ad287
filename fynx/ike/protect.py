"""The Encrypted payload and its fragments: seal and open with AEAD (RFC 5282) or with CBC and HMAC (RFC 7296 section
3.14, RFC 7383 section 2.5)."""

from __future__ import annotations

import hmac

from fynx.errors import CryptoError, Drop, Dropped
from fynx.ike.keymat import IkeKeys
from fynx.plugin.crypto import Cipher, Integ, KeyExchange, Prf, Random
from fynx.record import record
from fynx.wire.header import HEADER_LEN, Header
from fynx.wire.iana import PayloadType
from fynx.wire.message import encode_payloads
from fynx.wire.payload import EncryptedPayload, FragmentPayload, Payload

GENERIC_LEN = 4
"""Octets of the generic payload header (RFC 7296 section 3.2)."""
NUMBERS_LEN = 4
"""Octets of Fragment Number and Total Fragments, which stand after it in SKF (RFC 7383 section 2.5)."""


@record
class IkeSuite:
    """The algorithms of an IKE SA; ``integ`` is None with an AEAD cipher (RFC 5282 section 8)."""

    cipher: Cipher
    prf: Prf
    integ: Integ | None
    ke: KeyExchange

    @property
    def keyword(self) -> str:
        """As in proposal strings, for example ``aes256gcm16-prfsha384-x25519``."""
        integ = f"-{self.integ.keyword}" if self.integ else ""
        return f"{self.cipher.keyword}{integ}-{self.prf.keyword}-{self.ke.keyword}"

    @property
    def encr_len(self) -> int:
        """Octets of SK_ei and SK_er, the salt included (RFC 5282 section 7.1)."""
        return self.cipher.key_bits // 8 + self.cipher.salt_len

    @property
    def integ_len(self) -> int:
        """Octets of SK_ai and SK_ar; 0 with AEAD."""
        return self.integ.key_len if self.integ else 0


class Protector:
    """Both directions of one IKE SA's protection. ``initiator``: we are the original initiator (section 2.14).

    ``random`` makes CBC IVs; the AEAD IV is a counter that lives here, so that no two messages of a key share one.
    """

    __slots__ = ("_iv_count", "_mac_in", "_mac_out", "_open", "_random", "_seal", "suite")

    def __init__(self, suite: IkeSuite, keys: IkeKeys, *, initiator: bool, random: Random) -> None:
        ours, theirs = (keys.sk_ei, keys.sk_er) if initiator else (keys.sk_er, keys.sk_ei)
        self.suite = suite
        self._mac_out, self._mac_in = (keys.sk_ai, keys.sk_ar) if initiator else (keys.sk_ar, keys.sk_ai)
        self._seal, self._open = suite.cipher.key(bytes(ours)), suite.cipher.key(bytes(theirs))
        self._random = random
        self._iv_count = 0

    def seal(self, header: Header, payloads: tuple[Payload, ...]) -> bytes:
        """The whole message: header with its Next Payload and Length set, and one SK payload around ``payloads``."""
        first, plain = encode_payloads(payloads)
        return self.seal_raw(header, first, plain)

    def seal_raw(
        self, header: Header, first: int, plain: bytes, clear: bytes = b"", outer: int = 0, numbers: bytes = b""
    ) -> bytes:
        """As ``seal`` with the inner chain already encoded; ``clear`` stands before SK, ``outer`` its first type.

        With ``numbers`` (Fragment Number and Total Fragments, 4 octets) the payload is SKF instead of SK.
        """
        cipher, iv = self.suite.cipher, self._next_iv()
        padded = plain + self._padding(len(plain))
        body_len = len(numbers) + len(iv) + len(padded) + self._icv_len()
        total = HEADER_LEN + len(clear) + GENERIC_LEN + body_len
        kind = PayloadType.SKF if numbers else PayloadType.SK
        head = header.encode_as(outer if clear else int(kind), total)
        aad = head + clear + bytes((first, 0)) + (GENERIC_LEN + body_len).to_bytes(2, "big") + numbers
        if cipher.aead:
            return aad + iv + self._seal.seal(iv, padded, aad)
        message = aad + iv + self._seal.seal(iv, padded, b"")
        return message + self._mac(self._mac_out, message)

    def seal_fragment(self, header: Header, first: int, chunk: bytes, number: int, total: int) -> bytes:
        """One fragment message; ``first`` counts in number 1 only (RFC 7383 section 2.5)."""
        numbers = number.to_bytes(2, "big") + total.to_bytes(2, "big")
        return self.seal_raw(header, first if number == 1 else 0, chunk, numbers=numbers)

    def sealed_len(self, length: int) -> int:
        """Octets of the whole message around an inner chain of ``length`` octets, not fragmented."""
        return HEADER_LEN + GENERIC_LEN + self._around() + length + len(self._padding(length))

    def capacity(self, room: int) -> int:
        """How many octets of the inner chain a fragment message of at most ``room`` octets takes; may be negative."""
        inside = room - HEADER_LEN - GENERIC_LEN - NUMBERS_LEN - self._around()
        cipher = self.suite.cipher
        return inside - (0 if cipher.aead else inside % cipher.block_len) - 1

    def open(self, message: bytes, outer: tuple[Payload, ...]) -> tuple[int, bytes]:
        """(type of the first inner payload, the inner chain). ``outer`` are the payloads as parsed from ``message``.

        Raises ``Dropped``: NOT_PROTECTED without an SK payload at the end, INTEGRITY for whatever else is wrong.
        """
        sk = outer[-1] if outer else None
        if not isinstance(sk, EncryptedPayload):
            raise Dropped(Drop.NOT_PROTECTED, "no Encrypted payload at the end")
        return sk.first, self._opened(message, sk.data)

    def open_fragment(self, message: bytes, skf: FragmentPayload) -> bytes:
        """The chunk in one fragment message; raises ``Dropped`` INTEGRITY. ``skf`` is its last payload."""
        return self._opened(message, skf.data)

    def _opened(self, message: bytes, data: bytes) -> bytes:
        """What is inside ``data``, the end of ``message`` from the IV on; all before it is authenticated too."""
        # A body of impossible size takes the same path, and time, as one whose ICV is wrong (sections 3.14 and H23).
        sized = self._sized(len(data))
        body = data if sized else bytes(self._shortest())
        aad = message[: len(message) - len(data)]
        try:
            plain = self._verified(aad, body)
        except CryptoError:
            plain = b""
        if not sized or not plain or plain[-1] >= len(plain):
            raise Dropped(Drop.INTEGRITY, "the Encrypted payload does not verify")
        return plain[: len(plain) - 1 - plain[-1]]

    def _verified(self, aad: bytes, body: bytes) -> bytes:
        """The padded plaintext; CryptoError when the integrity check fails."""
        iv, sealed = body[: self.suite.cipher.iv_len], body[self.suite.cipher.iv_len :]
        if self.suite.cipher.aead:
            return self._open.open(iv, sealed, aad)
        cut = len(body) - self._icv_len()
        if not hmac.compare_digest(self._mac(self._mac_in, aad + body[:cut]), body[cut:]):
            raise CryptoError("wrong ICV")
        return self._open.open(iv, body[len(iv) : cut], b"")

    def _sized(self, length: int) -> bool:
        cipher = self.suite.cipher
        inside = length - cipher.iv_len - self._icv_len()
        return inside >= 1 and (cipher.aead or inside % cipher.block_len == 0)

    def _shortest(self) -> int:
        cipher = self.suite.cipher
        return cipher.iv_len + (1 if cipher.aead else cipher.block_len) + self._icv_len()

    def _around(self) -> int:
        """Octets of IV and ICV."""
        return self.suite.cipher.iv_len + self._icv_len()

    def _icv_len(self) -> int:
        return self.suite.integ.icv_len if self.suite.integ else self.suite.cipher.icv_len

    def _mac(self, key: bytearray, data: bytes) -> bytes:
        return self.suite.integ.mac(bytes(key), data) if self.suite.integ else b""

    def _padding(self, length: int) -> bytes:
        """Padding and Pad Length; AEAD ciphers need none (RFC 5282 section 3)."""
        count = 0 if self.suite.cipher.aead else -(length + 1) % self.suite.cipher.block_len
        return bytes(count) + bytes((count,))

    def _next_iv(self) -> bytes:
        if not self.suite.cipher.aead:
            return self._random(self.suite.cipher.iv_len)
        self._iv_count += 1
        return self._iv_count.to_bytes(self.suite.cipher.iv_len, "big")

    def __repr__(self) -> str:
        return f"Protector({self.suite.keyword})"
