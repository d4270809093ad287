"""Key material of IKE and Child SAs: prf+, SKEYSEED, SK_*, KEYMAT, PSK AUTH (RFC 7296 sections 2.13 to 2.18)."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from fynx.errors import CryptoError
from fynx.plugin.auth import Secret
from fynx.plugin.crypto import Prf
from fynx.plugin.dataplane import ChildKeys
from fynx.wire import iana

if TYPE_CHECKING:
    from fynx.ike.protect import IkeSuite

KEY_PAD = b"Key Pad for IKEv2"


class IkeKeys:
    """The seven SK_* of one IKE SA (section 2.14): mutable so that ``wipe`` can, and never shown."""

    __slots__ = ("sk_ai", "sk_ar", "sk_d", "sk_ei", "sk_er", "sk_pi", "sk_pr")

    def __init__(
        self, sk_d: bytes, sk_ai: bytes, sk_ar: bytes, sk_ei: bytes, sk_er: bytes, sk_pi: bytes, sk_pr: bytes
    ) -> None:
        self.sk_d = bytearray(sk_d)
        self.sk_ai, self.sk_ar = bytearray(sk_ai), bytearray(sk_ar)
        self.sk_ei, self.sk_er = bytearray(sk_ei), bytearray(sk_er)
        self.sk_pi, self.sk_pr = bytearray(sk_pi), bytearray(sk_pr)

    def wipe(self) -> None:
        """Overwrites every key in place."""
        for name in self.__slots__:
            key: bytearray = getattr(self, name)
            key[:] = bytes(len(key))

    def __repr__(self) -> str:
        return "IkeKeys(…)"

    def __reduce__(self) -> str:
        raise TypeError("IkeKeys are not pickled")


def derive_ike(suite: IkeSuite, ni: bytes, nr: bytes, spi_i: bytes, spi_r: bytes, shared: bytes) -> IkeKeys:
    """Keys of a first IKE SA from the nonces, SPIs and g^ir (section 2.14)."""
    return expand_ike(suite, skeyseed(suite.prf, ni, nr, shared), ni, nr, spi_i, spi_r)


def expand_ike(suite: IkeSuite, seed: bytes, ni: bytes, nr: bytes, spi_i: bytes, spi_r: bytes) -> IkeKeys:
    """{SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} = prf+ (SKEYSEED, Ni | Nr | SPIi | SPIr)."""
    prf_len, integ_len, encr_len = suite.prf.key_len, suite.integ_len, suite.encr_len
    lengths = (prf_len, integ_len, integ_len, encr_len, encr_len, prf_len, prf_len)
    stream = prf_plus(suite.prf, seed, ni + nr + spi_i + spi_r, sum(lengths))
    return IkeKeys(*_cut(stream, lengths))


def skeyseed(prf: Prf, ni: bytes, nr: bytes, shared: bytes) -> bytes:
    """SKEYSEED = prf(Ni | Nr, g^ir); the AES MACs take 64 bits of each nonce as their key (section 2.14)."""
    if prf.transform_id in _FIXED_KEY:
        return prf.mac(ni[:8] + nr[:8], shared)
    return prf.mac(ni + nr, shared)


def rekey_skeyseed(prf_old: Prf, sk_d: bytes | bytearray, shared: bytes, ni: bytes, nr: bytes) -> bytes:
    """SKEYSEED = prf(SK_d (old), g^ir (new) | Ni | Nr), with the *old* SA's prf (section 2.18)."""
    return prf_old.mac(bytes(sk_d), shared + ni + nr)


def derive_child(
    prf: Prf,
    sk_d: bytes | bytearray,
    ni: bytes,
    nr: bytes,
    enc_len: int,
    salt_len: int,
    integ_len: int,
    shared: bytes = b"",
) -> tuple[ChildKeys, ChildKeys]:
    """KEYMAT = prf+ (SK_d, [g^ir |] Ni | Nr), cut for (initiator to responder, responder to initiator).

    Lengths in octets, ``enc_len`` without the salt. The initiator of the *exchange* owns Ni. In each direction the
    encryption key comes first, then its salt (RFC 4106 section 8.1), then the integrity key (RFC 7296 section 2.17).
    """
    one = (enc_len, salt_len, integ_len)
    stream = prf_plus(prf, bytes(sk_d), shared + ni + nr, 2 * sum(one))
    enc_i, salt_i, integ_i, enc_r, salt_r, integ_r = _cut(stream, one + one)
    return ChildKeys(Secret(enc_i + integ_i), Secret(salt_i)), ChildKeys(Secret(enc_r + integ_r), Secret(salt_r))


def prf_plus(prf: Prf, key: bytes, seed: bytes, length: int) -> bytes:
    """T1 | T2 | … with Tn = prf(K, Tn-1 | S | n): ``length`` octets (section 2.13); CryptoError beyond 255 blocks."""
    blocks = -(-length // prf.out_len)
    if blocks > 255:
        raise CryptoError("prf+ gives at most 255 blocks (RFC 7296 section 2.13)")
    stream = block = b""
    for number in range(1, blocks + 1):
        block = prf.mac(key, block + seed + bytes((number,)))
        stream += block
    return stream[:length]


def signed_octets(prf: Prf, sk_p: bytes | bytearray, message: bytes, nonce: bytes, id_body: bytes) -> bytes:
    """RealMessage | the peer's nonce | prf(SK_p, RestOfID): what AUTH is computed over (section 2.15)."""
    return message + nonce + prf.mac(bytes(sk_p), id_body)


def psk_auth(prf: Prf, psk: bytes, octets: bytes) -> bytes:
    """AUTH = prf(prf(Shared Secret, "Key Pad for IKEv2"), signed octets) (section 2.15)."""
    return prf.mac(prf.mac(psk, KEY_PAD), octets)


def _cut(stream: bytes, lengths: tuple[int, ...]) -> list[bytes]:
    return [stream[end - length : end] for length, end in zip(lengths, accumulate(lengths), strict=True)]


_FIXED_KEY = (iana.Prf.PRF_AES128_XCBC, iana.Prf.PRF_AES128_CMAC)
