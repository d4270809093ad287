"""The 18 counters: recorders, ratios, and moved by real traffic (checklist 1.18)."""

from __future__ import annotations

import threading

from fynx.metrics import NAMES, Metrics, Snapshot
from fynx.testing import pair
from tests.unit.api.loops import looped


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


@looped
async def test_a_replayed_packet_is_counted() -> None:
    async with pair() as both:
        kept = []
        passes = both.weather.passes

        def keep(datagram: object) -> bool:
            kept.append(datagram)
            return passes(datagram)

        both.network.passes = keep  # type: ignore[attr-defined]
        await both.client.send_packet(both.packet())
        await both.session.recv_packet()
        both.network.carry(kept[-1])  # type: ignore[attr-defined]
        await both.client.send_packet(both.packet())
        await both.session.recv_packet()
        assert both.server.metrics().snapshot().esp_replay_detected == 1
