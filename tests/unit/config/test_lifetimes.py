"""Lifetimes in the file: soft before hard, and how they reach the core."""

from __future__ import annotations

import pytest

from fynx.config import load
from fynx.errors import ConfigError
from fynx.run.policy import host_policy

TEXT = """
plugins: [aes_gcm, hmac_sha2, x25519, psk, udp, inproc]
host: {{transport: {{udp: {{}}}}, plane: {{inproc: {{}}}}}}
peers:
  hq:
    remote: {{address: 192.0.2.2, id: hq.test, auth: {{psk: {{secret: "{secret}"}}}}}}
    local: {{id: me.test, auth: {{psk: {{secret: "{secret}"}}}}}}
    lifetime: {{soft_s: {ike_soft}, hard_s: {ike_hard}}}
    reauth_s: {reauth}
    children:
      lan: {{local: [198.51.100.0/24], remote: [203.0.113.0/24], lifetime: {{soft_bytes: 1000, hard_bytes: {hard}}}}}
"""
PATHS = {"peers.hq.lifetime.soft_s", "peers.hq.reauth_s"}
USUAL = {"ike_soft": 600, "ike_hard": 900, "hard": 2000, "reauth": "null"}
SECRET = "a-secret-of-more-than-32-octets-for-tests"


def text(**values: object) -> str:
    return TEXT.format(secret=SECRET, **{**USUAL, **values})


def test_lifetimes_of_the_file_reach_the_core() -> None:
    config = load(text())
    (peer,) = host_policy(config, config.registry, resolve={}).peers
    assert (peer.lifetime.soft_s, peer.lifetime.hard_s) == (600.0, 900.0)
    assert (peer.children[0].lifetime.soft_bytes, peer.children[0].lifetime.hard_bytes) == (1000, 2000)
    assert peer.children[0].lifetime.soft_s == 2700.0


def test_a_soft_limit_that_is_not_below_the_hard_one_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigError) as caught:
        load(text(ike_hard=600, hard=1000))
    paths = {problem.path: problem for problem in caught.value.problems}
    assert set(paths) == {"peers.hq.lifetime.soft_s", "peers.hq.children.lan.lifetime.soft_bytes"}
    assert "below 600" in paths["peers.hq.lifetime.soft_s"].remedy
    assert all(problem.line for problem in caught.value.problems)


@pytest.mark.parametrize(("seconds", "warned"), [("59.5", True), ("60", False)])
def test_c23_a_time_below_a_minute_is_warned_of_as_a_storm(seconds: str, warned: bool) -> None:
    found = load(text(ike_soft=seconds, reauth=seconds)).warnings
    assert {one.path for one in found} == (PATHS if warned else set())
    assert all("59.5 s" in one.what and "60" in one.remedy and one.line for one in found)


@pytest.mark.parametrize("nothing", [{"ike_soft": 0, "ike_hard": 0}, {"reauth": "null"}])
def test_c23_no_limit_is_no_short_one(nothing: dict[str, object]) -> None:
    assert load(text(**nothing)).warnings == ()
