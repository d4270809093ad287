"""``on_dead``, ``on_close``, ``inactivity_s`` and ``crash_detection`` in the file."""

from __future__ import annotations

import pytest

from fynx.config import load
from fynx.errors import ConfigError, Problem
from fynx.run.policy import at_start, host_policy, starting

TEXT = """
plugins: [aes_gcm, hmac_sha2, x25519, psk, udp, inproc]
host: {{transport: {{udp: {{}}}}, plane: {{inproc: {{}}}}}}
peers:
  hq:
    remote: {{address: {address}, id: hq.test, auth: {{psk: {{secret: "{secret}"}}}}}}
    local: {{id: me.test, auth: {{psk: {{secret: "{secret}"}}}}}}
    {peer}
    children: {{lan: {{local: [198.51.100.0/24], remote: [203.0.113.0/24]{child}}}}}
"""
SECRET = "a-secret-of-more-than-32-octets-for-tests"


def text(peer: str = "", child: str = "", address: str = "192.0.2.2") -> str:
    return TEXT.format(secret=SECRET, peer=peer, child=child, address=address)


def problems(written: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load(written)
    return caught.value.problems


def test_what_is_not_written_follows_the_start_and_tokens_are_made() -> None:
    config = load(text())
    peer = config.peers["hq"]
    assert (peer.on_dead, peer.on_close, peer.children["lan"].inactivity_s) == (None, None, 0)
    assert config.host.crash_detection


def test_the_time_out_of_a_child_reaches_the_core() -> None:
    config = load(text(child=", inactivity_s: 90"))
    (peer,) = host_policy(config, config.registry, resolve={}).peers
    assert peer.children[0].inactivity_s == 90.0


@pytest.mark.parametrize("value", ["1", "9.9"])
def test_a_time_out_too_short_to_be_seen_is_refused(value: str) -> None:
    (problem,) = problems(text(child=f", inactivity_s: {value}"))
    assert problem.path == "peers.hq.children.lan.inactivity_s"
    assert problem.remedy == "write 10 or more, or 0"


@pytest.mark.parametrize("address", ["any", "192.0.2.0/24"])
@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("on_dead", "restart", "write on_dead: clear"),
        ("on_dead", "trap", "write on_dead: clear"),
        ("on_close", "restart", "write on_close: none"),
        ("on_close", "trap", "write on_close: none"),
    ],
)
def test_who_has_no_address_cannot_be_called_back(address: str, key: str, value: str, remedy: str) -> None:
    (problem,) = problems(text(f"{key}: {value}", address=address))
    assert problem.path == f"peers.hq.{key}"
    assert problem.remedy == remedy


@pytest.mark.parametrize("peer", ["on_dead: clear", "on_close: none"])
def test_doing_nothing_needs_no_address(peer: str) -> None:
    assert load(text(peer, address="any"))


@pytest.mark.parametrize(
    ("key", "meant"), [("dpd_action", "on_dead"), ("close_action", "on_close"), ("inactivity", "inactivity_s")]
)
def test_the_words_of_another_program_lead_to_ours(key: str, meant: str) -> None:
    (problem,) = problems(text(f"{key}: restart"))
    assert meant in problem.remedy


def test_children_that_start_by_themselves() -> None:
    config = load(text("start: trap", ", start: initiate"))
    assert starting(config, "hq", "initiate") == ("lan",)
    assert at_start(config, "hq") == ()
    assert starting(config, "nobody", "trap") == ()
    assert at_start(load(text()), "hq") == ("lan",)
