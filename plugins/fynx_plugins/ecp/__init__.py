"""Random ECP groups 19, 20 and 21 (P-256, P-384, P-521): RFC 5903, with the checks of RFC 6989 section 2.3."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fynx.plugin import CryptoError, KeyExchange, Random, hookimpl
from fynx.plugin.selftest import KexAnswer, check_key_exchange, refuses

FYNX_API = 1


@dataclass(frozen=True, slots=True)
class Group:
    keyword: str
    method_id: int
    curve: EllipticCurve
    field_len: int
    order: int
    answer: KexAnswer


@hookimpl
def fynx_key_exchanges() -> list[KeyExchange]:
    return [_key_exchange(group) for group in GROUPS]


def fynx_selftest() -> None:
    """Known answers of RFC 5903 section 8, and the refusal of a point off the curve; raises CryptoError."""
    for group in GROUPS:
        check_key_exchange(_key_exchange(group), group.answer, responder=group is GROUPS[0])
        refuses(f"{group.keyword}: a point off the curve", _point, group, bytes(2 * group.field_len))


def _key_exchange(group: Group) -> KeyExchange:
    def start(random: Random) -> EcpOffer:
        return EcpOffer(group, random)

    def answer(peer: bytes, random: Random) -> tuple[bytes, bytes]:
        point = _point(group, peer)
        offer = EcpOffer(group, random)
        return offer.public, offer.shared(point)

    length = 2 * group.field_len
    return KeyExchange(group.keyword, group.method_id, length, length, start, answer)


class EcpOffer:
    """The public value is x | y without a leading octet (RFC 5903 section 7)."""

    __slots__ = ("_group", "_private", "public")

    def __init__(self, group: Group, random: Random) -> None:
        self._group = group
        self._private = _private_key(group, random)
        point = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public = point[1:]

    def finish(self, peer: bytes) -> bytes:
        return self.shared(_point(self._group, peer))

    def shared(self, point: EllipticCurvePublicKey) -> bytes:
        """The x coordinate at the length of the field, leading zeros kept (RFC 5903 section 7)."""
        return self._private.exchange(ECDH(), point).rjust(self._group.field_len, b"\0")


def _private_key(group: Group, random: Random) -> EllipticCurvePrivateKey:
    """A scalar in [1, order - 1] by rejection (FIPS 186-5 A.2.2); more than a few rounds mean a broken source."""
    mask = (1 << group.order.bit_length()) - 1
    for _ in range(64):
        scalar = int.from_bytes(random(group.field_len), "big") & mask
        if 0 < scalar < group.order:
            return derive_private_key(scalar, group.curve)
    raise CryptoError(f"{group.keyword}: the source of randomness gives no usable scalar")


def _point(group: Group, value: bytes) -> EllipticCurvePublicKey:
    """RFC 6989 section 2.3: both coordinates below p, the point on the curve: the library checks. The cofactor is 1."""
    if len(value) != 2 * group.field_len:
        raise CryptoError(f"{group.keyword}: the public value is {2 * group.field_len} octets")
    try:
        return EllipticCurvePublicKey.from_encoded_point(group.curve, b"\x04" + value)
    except ValueError:
        raise CryptoError(f"{group.keyword}: the public value is no point of the curve") from None


GROUPS = (
    Group(
        "ecp256",
        19,
        SECP256R1(),
        32,
        order=int(
            "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
            16,
        ),
        answer=KexAnswer(
            private_i=bytes.fromhex("c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433"),
            public_i=bytes.fromhex(
                "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c37725811805271a0461cdb8252d61f1c456fa3e59a"
                "b1f45b33accf5f58389e0577b8990bb3"
            ),
            private_r=bytes.fromhex("c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53"),
            public_r=bytes.fromhex(
                "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf6356fbf3ca366cc23e8157854c13c58d6a"
                "ac23f046ada30f8353e74f33039872ab"
            ),
            shared=bytes.fromhex("d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de"),
        ),
    ),
    Group(
        "ecp384",
        20,
        SECP384R1(),
        48,
        order=int(
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
            16,
        ),
        answer=KexAnswer(
            private_i=bytes.fromhex(
                "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896783ab194"
            ),
            public_i=bytes.fromhex(
                "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c88732aee95f41aa"
                "9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c"
            ),
            private_r=bytes.fromhex(
                "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942e0308312916b8ed2960e4bd55a7448fc"
            ),
            public_r=bytes.fromhex(
                "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d0d1ac43a0336def96fda41d0774a3571"
                "dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c"
            ),
            shared=bytes.fromhex(
                "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a270f59746"
            ),
        ),
    ),
    Group(
        "ecp521",
        21,
        SECP521R1(),
        66,
        order=int(
            "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709"
            "a5d03bb5c9b8899c47aebb6fb71e91386409",
            16,
        ),
        answer=KexAnswer(
            private_i=bytes.fromhex(
                "0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a095aa85a30fe1c2952c6771d937ba9777"
                "f5957b2639bab072462f68c27a57382d4a52"
            ),
            public_i=bytes.fromhex(
                "0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbee1e3bf42e00b8e380aeae57c2d107564"
                "941885942af5a7f4601723c4195d176ced3e017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4"
                "a10ad8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3926f9582"
            ),
            private_r=bytes.fromhex(
                "0145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e9c677d600b343757a3bdbf2a3163e4c2"
                "f869cca7458aa4a4effc311f5cb151685eb9"
            ),
            public_r=bytes.fromhex(
                "00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a219b97c356436adc6e95bb0352f6be64a6"
                "c2912d4ef2d0433ced2b6171640012d9460f015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d985207"
                "7b87220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44fcd17f0fc56a"
            ),
            shared=bytes.fromhex(
                "01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04d1427e73ca4baa240a34786859810c06"
                "b3c715a3a8cc3151f2bee417996d19f3ddea"
            ),
        ),
    ),
)
