"""Constant rate and dummies in the file: what is refused with its place, and how they reach the core."""

from __future__ import annotations

import pytest

from fynx.config import load
from fynx.errors import ConfigError
from fynx.plugin.dataplane import Aggregation, Dummies
from fynx.run.policy import host_policy

TEXT = """
plugins: [aes_gcm, hmac_sha2, x25519, psk, udp, inproc]
host: {transport: {udp: {}}, plane: {inproc: {}}}
peers:
  hq:
    remote: {address: 192.0.2.2, id: hq.test, auth: {psk: {secret: "SECRET"}}}
    local: {id: me.test, auth: {psk: {secret: "SECRET"}}}
    children:
      lan: {local: [198.51.100.0/24], remote: [203.0.113.0/24], HERE}
""".replace("SECRET", "a-secret-of-more-than-32-octets-for-tests")


def test_a_rate_and_dummies_reach_the_core() -> None:
    found = []
    for text in ("iptfs: {rate: 100, packet_size: 500}", "dummies: {interval_s: 0.5, jitter: 0.1, size: 64}"):
        config = load(TEXT.replace("HERE", text))
        (peer,) = host_policy(config, config.registry, resolve={}).peers
        found.append((peer.children[0].aggregation, peer.children[0].dummies))
    assert found == [(Aggregation(500, rate=100), None), (None, Dummies(0.5, 0.1, 64))]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("iptfs: {}, dummies: {}", "dummies"),
        ("dummies: {size: 19}", "dummies.size"),
        ("dummies: {interval_s: 0}", "dummies.interval_s"),
        ("dummies: {jitter: 2}", "dummies.jitter"),
        ("iptfs: {rate: 100001}", "iptfs.rate"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(text: str, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(TEXT.replace("HERE", text))
    assert [problem.path for problem in caught.value.problems] == [f"peers.hq.children.lan.{path}"]
