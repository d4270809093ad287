"""The benchmarks run and say what the schema asks for; their figures are not judged here."""

from __future__ import annotations

import json

import pytest

from benches import __main__ as program
from benches import api, checklist, crowd, esp, handshake, net, plugin
from benches.result import Result


def test_without_a_name_the_benchmarks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main([]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(program.BENCHES)


def test_an_unknown_benchmark_is_wrong_usage() -> None:
    assert program.main(["dance"]) == 2


def test_esp_measures_every_provider_and_python_with_every_suite(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(esp, "ROUND_S", 0.001)
    monkeypatch.setattr(esp, "SIZES", (64,))
    assert program.main(["esp", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert list(facts) == ["schema", "bench", "machine", "rows", "ratios"]
    assert facts["schema"] == "fynx.bench/1"
    assert set(facts["machine"]) == {"cpu", "cores", "kernel", "python"}
    cases = {row["case"] for row in facts["rows"]}
    kinds = ("batch", "one", "plane", "plane-one", "python")
    assert cases == {f"{suite}-64-{kind}" for suite in esp.SUITES for kind in kinds}
    assert all(0 < row["min"] <= row["median"] <= row["max"] for row in facts["rows"])
    assert "aes128gcm16-64/libcrypto/python" in facts["ratios"]


def test_handshake_measures_one_process_and_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "SUITES", handshake.SUITES[:1])
    monkeypatch.setattr(handshake, "CYCLES", 1)
    monkeypatch.setattr(handshake, "SINGLES", 5)
    rows = {row.case.removesuffix(handshake.SUITES[0]): row for row in handshake.run().rows}
    assert len(rows) == 6
    assert all(row.median > 0 for row in rows.values())


def test_a_ratio_is_the_median_over_the_rounds_and_not_of_the_medians() -> None:
    result = Result("x")
    result.ratio("a/b/c", [2.0, 30.0, 8.0], [1.0, 10.0, 2.0])
    assert result.ratios == {"a/b/c": 3.0}


def test_the_library_is_measured_in_batches_and_packet_by_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "ROUND_S", 0.001)
    monkeypatch.setattr(api, "SIZES", (64,))
    result = api.run()
    assert {row.case for row in result.rows} == {
        f"{way}-64-{kind}" for way in ("send", "carry") for kind in ("batch", "one")
    }
    assert all(row.median > 0 for row in result.rows)
    assert set(result.ratios) == {"send-64/fynx/one-per-call", "carry-64/fynx/one-per-call"}


def test_a_third_partys_cipher_is_measured_beside_the_built_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "ROUND_NS", 1000)
    monkeypatch.setattr(plugin, "SIZES", (64,))
    monkeypatch.setattr(plugin, "ROUNDS", 1)
    result = plugin.run()
    assert {row.system for row in result.rows} == {"private_gcm", "libcrypto"}
    assert "aes128gcm16-64-batch/private_gcm/libcrypto" in result.ratios


def test_tcp_inside_a_tunnel_is_measured_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net, "SIZE", 8 * len(net.BLOCK))
    monkeypatch.setattr(net, "RUNS", 1)
    result = net.run()
    assert {(row.case, row.system) for row in result.rows} == {
        (case, system) for case in ("upload", "download", "upload8") for system in ("fynx", "asyncio")
    }
    assert all(row.median > 0 for row in result.rows)


def test_the_twelve_of_the_checklist_are_measured_over_real_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checklist 1.20."""
    monkeypatch.setattr(checklist, "ROUND_S", 0.0)
    rows = checklist.run().rows
    assert [row.case for row in rows] == [
        "ike_sa_init/create_request",
        "ike_sa_init/process_request",
        "key_derivation/derive_ike_keys",
        "key_derivation/derive_child_sa_keys",
        "esp_encryption/encrypt_64bytes",
        "esp_encryption/encrypt_512bytes",
        "esp_encryption/encrypt_1500bytes",
        "esp_decryption/decrypt_64bytes",
        "esp_decryption/decrypt_1500bytes",
        "esp_serialization/to_bytes",
        "esp_serialization/from_bytes",
        "full_handshake/ike_sa_init_and_auth",
    ]
    assert all(row.median > 0 for row in rows)


def test_the_memory_of_tunnels_is_that_of_a_process_that_holds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "FIRST", 2)
    (row,) = crowd.run(["--tunnels", "5"]).rows
    assert (row.case, row.unit) == ("memory-5", "kB per tunnel")
