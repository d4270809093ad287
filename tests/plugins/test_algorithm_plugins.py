"""What every algorithm plugin keeps: its API version, its self-test, and its place in the registry of transforms."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest

from fynx.plugin import API, CryptoError
from fynx.plugin.selftest import (
    CIPHER_ANSWERS,
    check_cipher,
    check_key_exchange,
    expect,
    flip,
    refuses,
)
from fynx_plugins import x25519
from tests.plugins import installed
from tests.work import calls

PLUGINS = installed.algorithm_plugins()
CIPHERS = installed.ciphers()

TRANSFORMS = {
    "ciphers": {
        *{(number, bits) for number in (12, 14, 15, 16, 20, 29, 30) for bits in (128, 192, 256)},
        *{(number, 256) for number in (28, 31)},
    },
    "prfs": {(5, 32), (6, 48), (7, 64)},
    "integs": {(12, 16), (13, 24), (14, 32)},
    "key_exchanges": {(14, 256), (15, 384), (16, 512), (19, 64), (20, 96), (21, 132), (31, 32), (32, 56)},
}


@pytest.mark.parametrize("plugin", PLUGINS.values(), ids=PLUGINS)
def test_a_plugin_declares_the_interface_it_was_written_for(plugin: ModuleType) -> None:
    assert plugin.FYNX_API == API


@pytest.mark.parametrize(
    "plugin",
    [plugin for plugin in PLUGINS.values() if not hasattr(plugin, "fynx_providers")],
    ids=[name for name, plugin in PLUGINS.items() if not hasattr(plugin, "fynx_providers")],
)
def test_the_self_test_passes_and_is_little_work(plugin: ModuleType) -> None:
    plugin.fynx_selftest()
    assert calls(plugin.fynx_selftest) < 5000


def test_the_transforms_are_those_of_the_registry() -> None:
    assert {(c.transform_id, c.key_bits) for c in CIPHERS.values()} == TRANSFORMS["ciphers"]
    assert {(p.transform_id, p.out_len) for p in installed.prfs().values()} == TRANSFORMS["prfs"]
    assert {(i.transform_id, i.icv_len) for i in installed.integs().values()} == TRANSFORMS["integs"]
    methods = installed.key_exchanges().values()
    assert {(m.transform_id, m.initiator_len) for m in methods} == TRANSFORMS["key_exchanges"]
    assert all(m.initiator_len == m.responder_len for m in methods)


def test_only_chacha20_poly1305_goes_without_the_key_length_attribute() -> None:
    assert [c.keyword for c in CIPHERS.values() if not c.key_length_attribute] == [
        "chacha20poly1305",
        "chacha20poly1305iiv",
    ]


@pytest.mark.parametrize("keyword", [keyword for keyword in CIPHERS if keyword.endswith("iiv")])
def test_a_cipher_with_implicit_iv_is_the_explicit_one_for_esp_alone(keyword: str) -> None:
    """RFC 8750 section 7: IKE messages have no number that never repeats."""
    implicit, explicit = CIPHERS[keyword], CIPHERS[keyword.removesuffix("iiv")]
    assert (implicit.ike, implicit.esp, implicit.iv_len) == (False, True, 0)
    assert (
        replace(implicit, ike=True, iv_len=8, keyword=explicit.keyword, transform_id=explicit.transform_id) == explicit
    )


@pytest.mark.parametrize("keyword", [keyword for keyword in CIPHERS if "ccm" not in keyword])
def test_the_self_test_notices_a_cipher_that_errs(keyword: str) -> None:
    answer = CIPHER_ANSWERS[keyword.removesuffix("iiv")]
    with pytest.raises(CryptoError, match="known answer differs"):
        check_cipher(CIPHERS[keyword], replace(answer, sealed=flip(answer.sealed, 20)))


def test_the_self_test_notices_a_key_exchange_that_errs() -> None:
    method = x25519.fynx_key_exchanges()[0]
    with pytest.raises(CryptoError, match="responder's secret"):
        check_key_exchange(
            replace(method, answer=lambda peer, random: (x25519.answer(peer, random)[0], bytes(32))), x25519.ANSWER
        )
    with pytest.raises(CryptoError, match="initiator's value"):
        check_key_exchange(method, replace(x25519.ANSWER, public_i=flip(x25519.ANSWER.public_i, 3)))


def test_the_self_test_names_no_secret() -> None:
    with pytest.raises(CryptoError) as caught:
        expect("X", b"\xde\xad\xbe\xef", b"\xbe\xef\xde\xad")
    assert "dead" not in str(caught.value)


def test_what_should_be_refused_and_is_not_fails_the_self_test() -> None:
    with pytest.raises(CryptoError, match="was accepted"):
        refuses("X", len, b"")
