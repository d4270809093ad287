"""AES-CCM in the C loop: Wycheproof, every length against another implementation, forgeries and batches."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from fynx.plugin import CryptoError
from fynx.plugin.agreement import check_agreement
from fynx.plugin.selftest import OpsPacket, stream
from fynx_plugins import aes_ccm
from tests.plugins import installed
from tests.plugins.ops_driver import CALLS, Ops
from tests.vectors.vector_files import Row, octets, wycheproof

CIPHERS = {cipher.keyword: cipher for cipher in aes_ccm.fynx_ciphers() if cipher.iv_len}
ROWS = [row for row in wycheproof("aes_ccm") if row["ivSize"] == 88]
every_cipher = pytest.mark.parametrize("keyword", CIPHERS)


def ops(keyword: str) -> int:
    cipher = CIPHERS[keyword]
    return installed.providers()["libcrypto"].ops(cipher.transform_id, cipher.key_bits, 0)


@every_cipher
def test_the_loop_agrees_with_the_plugin_and_refuses_forgeries(keyword: str) -> None:
    check_agreement(ops(keyword), CIPHERS[keyword], CALLS)


@every_cipher
def test_every_length_agrees_with_the_library_in_one_thread(keyword: str) -> None:
    cipher, driven = CIPHERS[keyword], Ops(ops(keyword))
    raw, salt = stream(cipher.key_bits // 8, b"key"), stream(3, b"salt")
    packets = [
        OpsPacket(stream(8, b"iv%d" % size), stream(12 if size & 1 else 8, b"aad"), stream(size, b"plain"))
        for size in (*range(70), 1400, 8999)
    ]
    wanted = [AESCCM(raw, tag_length=cipher.icv_len).encrypt(salt + each.iv, each.text, each.aad) for each in packets]
    thread = driven.thread(driven.key(raw, salt))
    assert driven.run(thread, packets, opening=False, in_place=True) == wanted
    closed = [OpsPacket(each.iv, each.aad, text) for each, text in zip(packets, wanted, strict=True)]
    assert driven.run(thread, closed, opening=True, in_place=True) == [each.text for each in packets]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["tcId"]))
def test_wycheproof(row: Row) -> None:
    raw, nonce, aad, plain, text, tag = octets(row, "key", "iv", "aad", "msg", "ct", "tag")
    address = ops(f"aes{row['keySize']}ccm16")
    assert CALLS.seal(address, raw, nonce[:3], nonce[3:], aad, plain) == text + tag
    assert CALLS.open(address, raw, nonce[:3], nonce[3:], aad, text + tag) == plain


def test_the_self_test_notices_a_cipher_that_errs(monkeypatch: pytest.MonkeyPatch) -> None:
    raw, iv, plain, sealed = aes_ccm.ANSWERS[1]
    monkeypatch.setattr(aes_ccm, "ANSWERS", (aes_ccm.ANSWERS[0], (raw, iv, plain, sealed[:-2] + "00")))
    with pytest.raises(CryptoError, match="known answer differs"):
        aes_ccm.fynx_selftest()
