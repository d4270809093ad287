"""The pre-shared key method: RFC 7296 section 2.15, rows A1 and A2 as far as the method goes."""

from __future__ import annotations

import hmac
from dataclasses import replace

import pytest

from fynx.plugin import AuthContext, AuthFailed, AuthValue, Identity, Secret
from fynx.plugin.selftest import flip
from fynx_plugins import psk
from tests.plugins import installed

METHOD = installed.auth_methods()["psk"]
KEY = b"a key of thirty-two octets, real"
OCTETS = b"message and nonce and prf"


def prf(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha384")


def context(secret: bytes = KEY, value: bytes = b"", method_id: int = 2, octets: bytes = OCTETS) -> AuthContext:
    config = psk.PskConfig(Secret(secret))
    return AuthContext(octets, prf, Identity(2, b"peer.example.net"), config, method_id, value)


def test_the_value_is_the_prf_of_the_prf() -> None:
    assert METHOD.sign(context()) == AuthValue(2, prf(prf(KEY, b"Key Pad for IKEv2"), OCTETS))


def test_the_peer_accepts_what_was_signed() -> None:
    METHOD.verify(context(value=METHOD.sign(context()).data))


def test_another_key_is_refused() -> None:
    with pytest.raises(AuthFailed, match="differ"):
        METHOD.verify(context(b"another key of thirty-two octets", METHOD.sign(context()).data))


def test_any_changed_bit_of_value_or_octets_is_refused() -> None:
    value = METHOD.sign(context()).data
    for place in range(len(value)):
        with pytest.raises(AuthFailed):
            METHOD.verify(context(value=flip(value, place)))
    with pytest.raises(AuthFailed):
        METHOD.verify(context(value=value, octets=flip(OCTETS, 0)))


@pytest.mark.parametrize("cut", [0, 1, 47])
def test_a_value_of_another_length_is_refused(cut: int) -> None:
    value = METHOD.sign(context()).data
    for wrong in (value[:cut], value + value[:cut] + b"\0"):
        with pytest.raises(AuthFailed):
            METHOD.verify(context(value=wrong))


@pytest.mark.parametrize("method_id", [0, 1, 3, 9, 13, 14, 255])
def test_another_method_id_is_refused(method_id: int) -> None:
    with pytest.raises(AuthFailed, match=f"method {method_id}"):
        METHOD.verify(context(value=METHOD.sign(context()).data, method_id=method_id))


def test_without_a_key_nothing_is_signed_and_nothing_accepted() -> None:
    for broken in (context(secret=b""), replace(context(), config=None)):
        with pytest.raises(AuthFailed, match="no pre-shared key"):
            METHOD.sign(broken)
        with pytest.raises(AuthFailed, match="no pre-shared key"):
            METHOD.verify(replace(broken, value=prf(prf(b"", b"Key Pad for IKEv2"), OCTETS)))


def test_the_secret_shows_nowhere() -> None:
    shown = repr(psk.PskConfig(Secret(KEY))) + str(context())
    with pytest.raises(AuthFailed) as caught:
        METHOD.verify(context(value=b"x"))
    assert KEY.decode() not in shown + repr(caught.value)


def test_the_section_is_the_methods_own_dataclass() -> None:
    (section,) = psk.fynx_sections()
    assert (section.path, section.model) == ("auth.psk", psk.PskConfig)
    assert METHOD.method_ids == (2,)
