"""Protected messages that other implementations sent, with their keys: facts transcribed from published captures.

Sources: Wireshark 4.0.17 test/captures (ikev2-decrypt-aes256gcm16, -aes256cbc) and tcpdump's tests/ikev2pI2.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from fynx.ike.keymat import IkeKeys
from fynx.ike.protect import IkeSuite, Protector
from fynx.plugin import Cipher, Integ
from tests.unit.ike.algorithms import ALGORITHMS


@dataclass(frozen=True)
class Captured:
    cipher: Cipher
    integ: Integ | None
    sk_ei: str
    sk_er: str
    sk_ai: str = ""
    sk_ar: str = ""
    auth: str = ""
    """The data of one AUTH payload that these messages hold."""
    messages: tuple[bytes, ...] = ()

    def protected(self) -> tuple[bytes, ...]:
        return self.messages

    def protector(self, *, initiator: bool) -> Protector:
        suite = IkeSuite(self.cipher, ALGORITHMS.prfs[5], self.integ, ALGORITHMS.key_exchanges[31])
        sk_ai, sk_ar, sk_ei, sk_er = map(bytes.fromhex, (self.sk_ai, self.sk_ar, self.sk_ei, self.sk_er))
        keys = IkeKeys(b"", sk_ai, sk_ar, sk_ei, sk_er, b"", b"")
        return Protector(suite, keys, initiator=initiator, random=bytes)

    def with_right_icv(self, message: bytes) -> bytes:
        """The message from the initiator, its ICV computed anew."""
        assert self.integ is not None
        cut = len(message) - self.integ.icv_len
        return message[:cut] + self.integ.mac(bytes.fromhex(self.sk_ai), message[:cut])


HMAC_SHA1_96 = Integ("sha1", 2, 20, 12, lambda key, data: hmac.digest(key, data, "sha1")[:12])
"""Not an algorithm of ours; one capture uses it."""

AES_GCM_256 = Captured(
    cipher=ALGORITHMS.ciphers[20, 256],
    integ=None,
    sk_ei="647075bf167447a1c8683e8dbe4794b4cfe73799cc6bec34905441159ce13705c8dfb3a9",
    sk_er="15c9eae6f94631d63068bf44bb69999abc07b3d15e915fd8f0ed99ad481efd75deb02a5e",
    auth="9ab71f14ab553cad873a1aa70b99df155dee77cdcf3694b3b7527acbb9712ded",
    messages=(
        bytes.fromhex(
            "0158b8fb90b7623d13514610cea161602e20230800000001000000f5230000d9b93999e854851745530de120a75863b65d53"
            "694faea22c3470dd33d0771ddccfbc93df7f1cd6b7f3e8ace2186ba7e4907c6cbfd6f9f6fa8fcd7f488cb47fcd8ce7686599"
            "4b04e651072ffe0c0a0924e839ba8b2c054f96989ee19e52dc41e60055a7a204ce92583cdc62bc0bb82c741a0f5e63bf3b19"
            "a1318310ae904e1964b5d41318c309d145125934b345427320b434e59709193807f2ed5abb4b6515e69491c7ddd1747ca6b8"
            "86fdd7da21531f9b0d56a89c05208f4007244c150c7429e89f281d83047f1b2dc6dcc6016c718caecadee1c75b"
        ),
        bytes.fromhex(
            "0158b8fb90b7623d13514610cea161602e20232000000001000000dd240000c184d4f502cfb09a1b9d9e49c83b89cf187cfc"
            "7681938bc5c66b60ed3024fe5202560c38fdbd45f5f9d6811b97b115c04d477666161f9ca5c09e3cbc1ce0d4ab312f904bbe"
            "6d0ab7520f9d5a3a7b618f50677aa9d52fe6ddae4320fa1adac0cf5fa58c92d696822c7db30ae89fb26d8d2eedcc165f09c1"
            "37d88ff382c4f7c880f14e8ee18f9d398a991079a917be2656937de8faa5d7d2322a11e184669d61071eb461a236e348cc7a"
            "ae4a1e97ad3db4d5f3772ec49e76f0a848f7630b81"
        ),
        bytes.fromhex(
            "0158b8fb90b7623d13514610cea161602e20250000000000000000412a00002584d4f502cfb09a1a60d7c8efe7d5f46ac22c"
            "24c6aa94249bbd0f90b9ed1a9c9b09"
        ),
        bytes.fromhex(
            "0158b8fb90b7623d13514610cea161602e20252800000000000000390000001d393999e954851745468af5d42d07629756e4"
            "c8e8a33739a7d1"
        ),
    ),
)

AES_CBC_256 = Captured(
    cipher=ALGORITHMS.ciphers[12, 256],
    integ=ALGORITHMS.integs[12],
    sk_ei="9096ddd2933620e8f48122c53a3f562cb0222c1cf97ce41fcc874ea2582a89ac",
    sk_er="6718c6b2bbef2f234eac4c13832f885d87b574afd2af0111161e99b5dc61b4d4",
    sk_ai="12d532c3e83c757906af548dfe1ccf223ca5507af77898454e2d55c8ace57a17",
    sk_ar="30c4ead18c93024b58a86c1e3db60f550221801026853170b4cb0248d3a95329",
    auth="e1a8d550064201a7ec024a85758d0673c61c5c510ac13bcd225d6327f50da3d3",
    messages=(
        bytes.fromhex(
            "191ccd371a7a1f7bbc123d15e4af593f2e2023080000000100000100230000e4d47a70e2deb655917bd122a6b665bd1d72bf"
            "8d75491060346af931fe67000b787d5b458231984ea659bf6c422f32e3ba6c317a41ea34910f9e9b53e80adb6555b915a7d9"
            "962cc20fdca3f3a24d510787e46e28dbac676ce6726a86b8bc272972a965866fe819b77179a27363e28b78ba25f3cafbc630"
            "2e0e1a38e3768604ce763482c2ebb3fcb87f0ce8889eba82af21bc924460d83ba1435cbd0e2a29ba144d62c80fae9fc5fcc9"
            "37e9754d8d208d42f0a75e38858f4aa18fa6b79e523d2308fa239f0d879815d536a2117eb023c8c246a5a78c2edcf6775b48"
            "57abf46902ad"
        ),
        bytes.fromhex(
            "191ccd371a7a1f7bbc123d15e4af593f2e20232000000001000000e0240000c4a66bf0f53df58fe327ba14a45cc6769c66fa"
            "59f99123cd9588eae853fd616cd830f4c8af0f300f8c841bb9316a82deaa238acefb964566a7b8d8778e899b1d292730e9f2"
            "53d35a80580e935f28efaf5e285228a12da4940ee0f5e075bd7d9bea796db358fa24407a294f7342cdd22dcd676bf2edeed2"
            "6f1e6b6ae51d6225bf0c81a67d51653aa07415058bfcd79bc69c047e40fcef158102cedce8c59d3275352452df9e39b997dd"
            "4286ddb1f2cd8b61c42734ed55097cd7a7f8d42eaaae8cf9"
        ),
    ),
)

WRONG_ICV = Captured(
    cipher=ALGORITHMS.ciphers[12, 128],
    integ=HMAC_SHA1_96,
    sk_ei="3f44bf47cafd8150591deb088199fcbf",
    sk_er="bedb67ec7dc3d00cccac42e70cd63bde",
    sk_ai="4ea8e662b07cdd430f6944c6723e4b82d5722418",
    sk_ar="515b0bd22e6d76b34fdb760aa7bfad80b109b75d",
    messages=(
        bytes.fromhex(
            "0001020304050607c02e7a3031a031882e202308000000000000011c23800100000102030405060708090a0b0c0d0e0f4bcf"
            "2da20444caca5fb591c1ab4b9b4d4f22ac7cb49e6b08d2738884fb3efd8eebc607accc1f80f890e24df65e53d61e899f1d31"
            "9d89c033524d036fd4ea7e0345def93356e2865e5481a6a20a7604083de04595e1071a2e98179eefb4e6ae4708e6875ae297"
            "b4dc5b2602d971e36f66cef12303946eea897d86bbb5903115281a266f4dcb627e146972ff2f7102931df82f24a2e40df594"
            "afc11e0a85eb1c56b9eddb7e2de52fa95cf51f4b4c9b5d53237ae39f64519413d201374a987fa8d1ce460fa2d67c41746220"
            "3f2948c0b9ed8b734a69a015ff63bde767f44f83c3cfe5119d72d74e695b1032b957"
        ),
    ),
)
"""Decrypts to an identity "west", but its ICV does not verify."""
