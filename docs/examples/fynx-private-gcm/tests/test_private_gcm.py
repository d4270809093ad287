"""What the conformance kit cannot know of this cipher: it is OpenSSL's AES-GCM, and Python is not asked."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fynx.esp.ops import ops_info, ops_open, ops_seal
from fynx.kernel.loader import boot
from fynx_private_gcm import TRANSFORM_ID, fynx_ciphers, fynx_providers

IV, AAD = bytes(range(8)), bytes(range(8))


@pytest.mark.parametrize("key_bits", [128, 256])
def test_the_C_part_makes_what_cryptography_makes(key_bits: int) -> None:
    (provider,) = fynx_providers()
    address = provider.ops(TRANSFORM_ID, key_bits, 0)
    key, salt, plain = bytes(range(key_bits // 8)), b"salt", b"a packet"
    wanted = AESGCM(key).encrypt(salt + IV, plain, AAD)
    assert ops_seal(address, key, salt, IV, AAD, plain) == wanted
    assert ops_open(address, key, salt, IV, AAD, wanted) == plain


def test_no_packet_crosses_into_Python() -> None:
    (provider,) = fynx_providers()
    info = ops_info(provider.ops(TRANSFORM_ID, 128, 0))
    assert not info.slow
    assert info.provider == "private_gcm"


def test_only_what_is_ours_is_offered() -> None:
    (provider,) = fynx_providers()
    for suite in ((20, 128, 0), (TRANSFORM_ID, 192, 0), (TRANSFORM_ID, 128, 12)):
        assert provider.ops(*suite) == 0


def test_it_boots_beside_the_preset() -> None:
    registry = boot(["default", "+private_gcm"])
    for cipher in fynx_ciphers():
        assert registry.algorithms.cipher(TRANSFORM_ID, cipher.key_bits) is not None
