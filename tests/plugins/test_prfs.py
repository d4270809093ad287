"""The contract of PRFs and integrity algorithms: RFC 2104, RFC 4868."""

from __future__ import annotations

import hashlib
import hmac
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fynx.plugin import Integ, Prf
from tests.plugins import installed

PRFS, INTEGS = installed.prfs(), installed.integs()


@pytest.mark.parametrize("prf", PRFS.values(), ids=PRFS)
@given(key=st.binary(max_size=300), data=st.binary(max_size=300))
def test_a_prf_is_the_hmac_of_the_standard_library(prf: Prf, key: bytes, data: bytes) -> None:
    wanted = hmac.digest(key, data, prf.keyword.removeprefix("prf"))
    assert prf.mac(key, data) == wanted
    held = cast("bytes", bytearray(key))  # keys of an SA are bytearrays, to be wiped
    assert prf.mac(held, data) == wanted
    assert len(wanted) == prf.out_len == prf.key_len


@pytest.mark.parametrize("prf", PRFS.values(), ids=PRFS)
@pytest.mark.parametrize("off", [-1, 0, 1])
def test_a_key_about_as_long_as_the_block_is_taken_right(prf: Prf, off: int) -> None:
    name = prf.keyword.removeprefix("prf")
    key = bytes(range(200))[: hashlib.new(name).block_size + off]
    assert prf.mac(key, b"data") == hmac.digest(key, b"data", name)


@pytest.mark.parametrize("integ", INTEGS.values(), ids=INTEGS)
def test_an_icv_is_the_first_half_of_the_output(integ: Integ) -> None:
    key = bytes(range(integ.key_len))
    full = hmac.digest(key, b"data", integ.keyword)
    assert integ.mac(key, b"data") == full[: integ.icv_len]
    assert 2 * integ.icv_len == len(full) == integ.key_len
