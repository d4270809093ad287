"""The 18 counters: recorders, ratios, and moved by real traffic (checklist 1.18)."""

from __future__ import annotations

import threading
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import fynx
from fynx.api.assemble import Place
from fynx.api.client import IpsecClient
from fynx.api.config import DpdConfig
from fynx.faults import Fault
from fynx.ike.effects import Rekey
from fynx.metrics import NAMES, Metrics, Snapshot
from fynx.testing import pair
from fynx.testing.pair import Pair
from tests.unit.api.loops import looped, soon


def test_there_are_18_and_all_begin_at_zero() -> None:
    assert len(NAMES) == 18
    assert set(Metrics().snapshot().as_dict().values()) == {0}


def test_each_recorder_moves_its_counters() -> None:
    metrics = Metrics()
    metrics.record_handshake_started()
    metrics.record_handshake_completed()
    metrics.record_handshake_failed()
    metrics.record_esp_encrypted(100)
    metrics.record_esp_decrypted(50)
    metrics.record_replay_detected()
    metrics.record_ike_sa_created()
    metrics.record_ike_sa_rekeyed()
    metrics.record_child_sa_created()
    metrics.record_child_sa_rekeyed()
    metrics.record_dpd_check(False)
    metrics.record_proposal_negotiation_failed()
    metrics.record_authentication_failed()
    now = metrics.snapshot().as_dict()
    assert now.pop("esp_bytes_encrypted") == 100
    assert now.pop("esp_bytes_decrypted") == 50
    assert now.pop("ike_sa_deleted") == now.pop("child_sa_deleted") == 0
    assert set(now.values()) == {1}
    metrics.record_ike_sa_deleted()
    metrics.record_child_sa_deleted()
    metrics.record_child_sa_deleted()
    assert (metrics.snapshot().ike_sa_active, metrics.snapshot().child_sa_active) == (0, 0)
    assert metrics.snapshot().child_sa_deleted == 2


def test_ratios_and_their_values_when_nothing_happened() -> None:
    empty = Snapshot()
    assert (empty.handshake_success_rate, empty.avg_encrypted_packet_size, empty.avg_decrypted_packet_size) == (0, 0, 0)
    assert empty.dpd_success_rate == 1.0
    assert Snapshot(ike_handshakes_total=4, ike_handshakes_completed=3).handshake_success_rate == 0.75
    assert Snapshot(esp_packets_encrypted=2, esp_bytes_encrypted=300).avg_encrypted_packet_size == 150


def test_threads_lose_no_count() -> None:
    metrics = Metrics()
    threads = [
        threading.Thread(target=lambda: [metrics.record_replay_detected() for _ in range(500)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.snapshot().esp_replay_detected == 4000


@looped
async def test_real_traffic_moves_them_and_reset_keeps_the_gauges() -> None:
    async with pair() as both:
        for _ in range(5):
            await both.echo(b"x" * 52)
        client, server = both.client.metrics(), both.server.metrics()
        now = client.snapshot()
        assert (now.ike_handshakes_total, now.ike_handshakes_completed, now.handshake_success_rate) == (1, 1, 1.0)
        assert (now.ike_sa_active, now.child_sa_active) == (1, 1)
        assert (now.esp_packets_encrypted, now.esp_packets_decrypted) == (5, 5)
        assert now.avg_encrypted_packet_size == 100.0
        assert server.snapshot().esp_bytes_decrypted == 500
        client.reset()
        now = client.snapshot()
        assert (now.esp_packets_encrypted, now.ike_handshakes_total, now.ike_sa_active) == (0, 0, 1)
        await both.client.shutdown()
        now = client.snapshot()
        assert (now.ike_sa_active, now.child_sa_active, now.ike_sa_deleted, now.child_sa_deleted) == (0, 0, 1, 1)


async def replayed(both: Pair) -> None:
    """The same ESP packet reaches the server twice."""
    kept = []
    passes = both.weather.passes

    def keep(datagram: object) -> bool:
        kept.append(datagram)
        return passes(datagram)

    both.network.passes = keep  # type: ignore[attr-defined]
    await both.client.send_packet(both.packet())
    await both.session.recv_packet()
    both.network.passes = passes  # type: ignore[attr-defined]
    both.network.carry(kept[-1])  # type: ignore[attr-defined]
    await both.client.send_packet(both.packet())
    await both.session.recv_packet()


@looped
async def test_a_replayed_packet_is_counted() -> None:
    async with pair() as both:
        await replayed(both)
        assert both.server.metrics().snapshot().esp_replay_detected == 1


@looped
async def test_each_of_the_18_is_moved_by_what_it_is_named_after() -> None:
    """None by hand: the handshakes, packets and refusals of a server and its clients."""
    async with pair() as both:
        moved: set[str] = set()
        server = both.server.metrics()

        async def moves(names: str, work: Awaitable[object], counters: Metrics = server) -> None:
            before = counters.snapshot().as_dict()
            with suppress(Fault):
                await work
            await soon(lambda: all(counters.snapshot().as_dict()[name] > before[name] for name in names.split()))
            moved.update(names.split())

        other = IpsecClient(
            replace(
                both.client.config, local_id="o.test", dpd=DpdConfig(timeout_s=0.05, max_retries=2), first_wait_s=None
            ),
            place=Place("198.18.0.9", network=both.network),
        )
        up = "ike_handshakes_total ike_handshakes_completed ike_sa_active child_sa_active"
        await moves(up, other.connect("192.0.2.1"))
        esp = "esp_packets_encrypted esp_bytes_encrypted esp_packets_decrypted esp_bytes_decrypted"
        await moves(esp, both.echo())
        await moves("esp_replay_detected", replayed(both))
        await moves("child_sa_rekeyed", both.client.rekey_child_sa(both.client.child_spis()[0]))
        await moves("ike_sa_rekeyed", rekeyed(both))
        wrong = {"psk": fynx.psk("", "x" * 40).secret}
        await moves("ike_handshake_failures authentication_failed", both.another("w.test", **wrong))
        foreign: dict[str, Any] = {"ike_proposals": ("aes256gcm16-prfsha512-modp3072",), "timeout_s": 0.1}
        await moves("proposal_negotiation_failed", both.another("f.test", **foreign))
        await moves("dpd_checks_total", other.perform_dpd_check(), other.metrics())
        await moves("ike_sa_deleted child_sa_deleted", both.client.shutdown())
        both.weather.loss = 1.0
        await moves("dpd_timeout", other.perform_dpd_check(), other.metrics())
        assert moved == set(NAMES)
        await other.shutdown()


async def rekeyed(both: Pair) -> None:
    runtime = both.client._runtime
    assert runtime is not None
    runtime.host.command(Rekey("peer"))
