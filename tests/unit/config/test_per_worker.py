"""``per_worker`` of a child: what the core is told, and what it cannot stand beside (RFC 9611)."""

from __future__ import annotations

import pytest

from fynx.config import load
from fynx.errors import ConfigError
from fynx.run.policy import MOST_RESOURCES, host_policy

TEXT = """
plugins: [default]
peers:
  hq:
    remote: {address: 192.0.2.2, id: hq.test, auth: {psk: {secret: "a-secret-of-more-than-32-octets-for-tests"}}}
    local: {id: me.test, auth: {psk: {secret: "a-secret-of-more-than-32-octets-for-tests"}}}
    children:
      lan: {local: [198.51.100.0/24], remote: [203.0.113.0/24], HERE}
"""


@pytest.mark.parametrize(("text", "most"), [("per_worker: true", MOST_RESOURCES), ("per_worker: false", 0)])
def test_it_reaches_the_core(text: str, most: int) -> None:
    config = load(TEXT.replace("HERE", text))
    (peer,) = host_policy(config, config.registry, resolve={}).peers
    assert peer.children[0].resources == most


def test_a_child_for_each_pair_of_addresses_has_none_for_each_worker() -> None:
    with pytest.raises(ConfigError) as caught:
        load(TEXT.replace("HERE", "per_worker: true, single_pair: true"))
    assert [problem.path for problem in caught.value.problems] == ["peers.hq.children.lan.per_worker"]
