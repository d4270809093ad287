"""The algorithms of the built-in plugins, collected without the kernel, for tests of the protocol core."""

from __future__ import annotations

from fynx.plugin import Algorithms, Cipher, KeyExchange
from fynx.wire.iana import Encr, Esn, Integ, Ke, Prf, Protocol, TransformType
from fynx.wire.proposal import Proposal, Transform, transform
from fynx_plugins import aes_cbc, aes_gcm, chacha20poly1305, ecp, hmac_sha2, modp, x448, x25519

CIPHERS: tuple[Cipher, ...] = (
    *aes_gcm.fynx_ciphers(),
    *aes_cbc.fynx_ciphers(),
    *chacha20poly1305.fynx_ciphers(),
)
EXCHANGES: tuple[KeyExchange, ...] = (
    *x25519.fynx_key_exchanges(),
    *x448.fynx_key_exchanges(),
    *ecp.fynx_key_exchanges(),
    *modp.fynx_key_exchanges(),
)

ALGORITHMS = Algorithms(
    ciphers={(one.transform_id, one.key_bits if one.key_length_attribute else 0): one for one in CIPHERS},
    prfs={one.transform_id: one for one in hmac_sha2.fynx_prfs()},
    integs={one.transform_id: one for one in hmac_sha2.fynx_integs()},
    key_exchanges={one.transform_id: one for one in EXCHANGES},
)

GCM_256 = transform(TransformType.ENCR, Encr.ENCR_AES_GCM_16, 256)
GCM_128 = transform(TransformType.ENCR, Encr.ENCR_AES_GCM_16, 128)
CBC_256 = transform(TransformType.ENCR, Encr.ENCR_AES_CBC, 256)
CHACHA = transform(TransformType.ENCR, Encr.ENCR_CHACHA20_POLY1305)
SHA256 = transform(TransformType.INTEG, Integ.AUTH_HMAC_SHA2_256_128)
SHA512 = transform(TransformType.INTEG, Integ.AUTH_HMAC_SHA2_512_256)
INTEG_NONE = transform(TransformType.INTEG, 0)
PRF_256 = transform(TransformType.PRF, Prf.PRF_HMAC_SHA2_256)
PRF_384 = transform(TransformType.PRF, Prf.PRF_HMAC_SHA2_384)
X25519 = transform(TransformType.KE, Ke.CURVE25519)
ECP_256 = transform(TransformType.KE, Ke.ECP_256)
MODP_2048 = transform(TransformType.KE, Ke.MODP_2048)
NO_ESN = transform(TransformType.ESN, Esn.NO_ESN)
WITH_ESN = transform(TransformType.ESN, Esn.ESN)


def ike(*transforms: Transform, number: int = 1, spi: bytes = b"") -> Proposal:
    return Proposal(number, Protocol.IKE, spi, transforms)


def esp(*transforms: Transform, number: int = 1, spi: bytes = b"\x01\x02\x03\x04") -> Proposal:
    return Proposal(number, Protocol.ESP, spi, transforms)
