"""Builders and rules of the library's configurations (checklist 1.14, 1.23)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fynx
from fynx.api.addresses import overlay_address, split
from fynx.api.assemble import Place, client_config, registry
from fynx.api.config import ClientConfig, DpdConfig, SaLifetime, ServerConfig
from fynx.faults import InvalidParameter

KEY = "a pre-shared key of more than thirty-two octets"


def whole() -> Any:
    return ClientConfig.builder().with_local_id("a.test").with_remote_id("b.test").with_psk(KEY)


def test_client_config_builder() -> None:
    made = whole().with_dpd(DpdConfig()).with_lifetime(SaLifetime(60, 90)).with_timeout(5).with_reconnect().build()
    assert (made.local_id, made.remote_id, made.timeout_s, made.reconnect) == ("a.test", "b.test", 5, True)
    assert made.lifetime == SaLifetime(60, 90)
    assert made.dpd == DpdConfig(True, 30, 10, 3)


def test_server_config_builder() -> None:
    made = ServerConfig.builder().with_local_id("s.test").with_client_psk("c.test", KEY).build()
    assert made.local_id == "s.test"
    assert list(made.client_psks) == ["c.test"]


def test_defaults_are_those_of_the_checklist() -> None:
    made = whole().build()
    assert (made.dpd, made.lifetime) == (None, SaLifetime(2700, 3600, 0, 0))
    booted = registry()
    peer = client_config(made, booted, "192.0.2.1", 500, Place()).peers["peer"]
    assert "aes128gcm16-prfsha256-modp2048" in peer.ike
    assert peer.children["tunnel"].esp[0] == "aes128gcm16"
    assert peer.liveness_s is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b: ClientConfig.builder().with_remote_id("b.test").with_psk(KEY), "local_id is required"),
        (lambda b: b.with_local_id(""), "local_id must not be empty"),
        (lambda b: b.with_local_id("any"), "one identity"),
        (lambda b: ClientConfig.builder().with_local_id("a.test").with_psk(KEY), "remote_id is required"),
        (lambda b: b.with_remote_id(""), "remote_id must not be empty"),
        (lambda b: ClientConfig.builder().with_local_id("a.test").with_remote_id("b.test"), "psk is required"),
        (lambda b: b.with_psk(""), "psk must not be empty"),
        (lambda b: b.with_ike_proposals([]), "ike_proposals must not be empty"),
        (lambda b: b.with_esp_proposals([]), "esp_proposals must not be empty"),
        (lambda b: b.with_lifetime(SaLifetime(3600, 3600)), "soft limit"),
        (lambda b: b.with_lifetime(SaLifetime(soft_bytes=10, hard_bytes=10)), "bytes"),
        (lambda b: b.with_lifetime(SaLifetime(-1, 10)), "negative"),
        (lambda b: b.with_dpd(DpdConfig(interval_s=0)), "dpd"),
        (lambda b: b.with_timeout(0), "timeout_s"),
    ],
)
def test_config_validation(change: Callable[[Any], Any], words: str) -> None:
    with pytest.raises(InvalidParameter, match=words) as caught:
        change(whole()).build()
    assert caught.value.label == "FYNX-1005"


def test_a_literal_configuration_is_checked_by_validate_as_well() -> None:
    with pytest.raises(InvalidParameter, match="soft"):
        ClientConfig(local_id="a", remote_id="b", psk=fynx.psk("a", KEY).secret, lifetime=SaLifetime(2, 1)).validate()
    with pytest.raises(InvalidParameter, match="psk is required"):
        ServerConfig(local_id="s.test").validate()


def test_custom_proposals_are_read_and_wrong_words_named() -> None:
    booted = registry()
    made = whole().with_ike_proposals(["aes256gcm16-prfsha512-x25519"]).with_esp_proposals(["aes256gcm16"]).build()
    peer = client_config(made, booted, "192.0.2.1", 500, Place()).peers["peer"]
    assert (peer.ike, peer.children["tunnel"].esp) == (("aes256gcm16-prfsha512-x25519",), ("aes256gcm16",))
    wrong = whole().with_esp_proposals(["aes257gcm16"]).build()
    with pytest.raises(InvalidParameter, match="aes257gcm16"):
        client_config(wrong, booted, "192.0.2.1", 500, Place())


def test_custom_lifetime_reaches_the_child() -> None:
    made = whole().with_lifetime(SaLifetime(60, 90, 1000, 2000)).build()
    life = client_config(made, registry(), "192.0.2.1", 500, Place()).peers["peer"].children["tunnel"].lifetime
    assert (life.soft_s, life.hard_s, life.soft_bytes, life.hard_bytes) == (60, 90, 1000, 2000)


def test_a_lifetime_tells_what_is_due_and_when() -> None:
    life = SaLifetime(60, 90, 1000, 2000)
    assert [life.is_soft_expired(age) for age in (0, 59.9, 60, 100)] == [False, False, True, True]
    assert [life.is_hard_expired(age) for age in (60, 89.9, 90)] == [False, False, True]
    assert (life.is_soft_expired(0, 999), life.is_soft_expired(0, 1000)) == (False, True)
    assert (life.is_hard_expired(0, 1999), life.is_hard_expired(0, 2000)) == (False, True)
    assert [life.time_until_rekey(age) for age in (0, 59, 60, 61)] == [60, 1, None, None]
    assert [life.time_until_expiry(age) for age in (0, 89, 90)] == [90, 1, None]
    never = SaLifetime(0, 0)
    assert not never.is_soft_expired(1e9, 10**12)
    assert not never.is_hard_expired(1e9, 10**12)
    assert never.time_until_rekey(0) is never.time_until_expiry(0) is None


def test_dead_peer_detection_gives_up_after_timeout_times_retries() -> None:
    made = whole().with_dpd(DpdConfig(interval_s=7, timeout_s=10, max_retries=3)).build()
    peer = client_config(made, registry(), "192.0.2.1", 500, Place()).peers["peer"]
    waits = [peer.retransmission.base_s * peer.retransmission.factor**n for n in range(peer.retransmission.tries)]
    assert peer.liveness_s == 7
    assert sum(waits) == pytest.approx(30)


def test_a_key_shows_itself_nowhere_and_short_ones_are_warned_about() -> None:
    made = whole().with_psk("short but secret").build()
    assert "secret" not in repr(made)
    assert "32 or more" in made.warnings[0]
    assert whole().build().warnings == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("vpn.example.net", ("vpn.example.net", 500)),
        ("192.0.2.1:4500", ("192.0.2.1", 4500)),
        ("[2001:db8::1]:4500", ("2001:db8::1", 4500)),
        ("[2001:db8::1]", ("2001:db8::1", 500)),
        ("2001:db8::1", ("2001:db8::1", 500)),
        (("192.0.2.1", 0), ("192.0.2.1", 0)),
    ],
)
def test_addresses_are_read_as_people_write_them(text: Any, found: tuple[str, int]) -> None:
    assert split(text) == found


@pytest.mark.parametrize("text", ["", ":500", "192.0.2.1:x", ("192.0.2.1", 70000)])
def test_what_is_no_address_is_refused(text: Any) -> None:
    with pytest.raises(InvalidParameter):
        split(text)


def test_inner_addresses_differ_by_identity_and_stay_the_same() -> None:
    assert overlay_address("a.test") == overlay_address("a.test") != overlay_address("b.test")
