"""The small benchmarks run and say what the schema asks for; their figures are not judged here."""

from __future__ import annotations

import pytest

from benches import aead, tables


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ROUNDS": 1,
        "SAS": (1, 20),
        "POLICIES": (1, 20),
        "INSTALLED": (20,),
        "WINDOWS": (64,),
        "NUMBERS": 200,
        "LOOKUPS": 100,
    }.items():
        monkeypatch.setattr(tables, name, value)
    for name, value in {"ROUNDS": 1, "ROUND_NS": 1e4, "PLENTY": 64, "SIZES": (1400,)}.items():
        monkeypatch.setattr(aead, name, value)


@pytest.mark.usefixtures("quick")
def test_lookups_are_measured_among_few_and_many() -> None:
    rows = {row.case: row.median for row in tables.run_lookup().rows}
    assert set(rows) == {"sas1", "sas20"} | {f"policies{n}-{kind}" for n in (1, 20) for kind in ("tables", "cached")}
    assert all(value > 0 for value in rows.values())


@pytest.mark.usefixtures("quick")
def test_installs_are_counted_per_second() -> None:
    assert [(row.case, row.unit, row.median > 0) for row in tables.run_install().rows] == [
        ("sas20", "SA pairs/s", True)
    ]


@pytest.mark.usefixtures("quick")
def test_memory_is_that_of_one_pair_of_sas() -> None:
    (row,) = tables.run_memory().rows
    assert (row.case, row.unit) == ("window64", "octets/SA pair")
    assert row.median > 500


@pytest.mark.usefixtures("quick")
def test_the_window_is_measured_beside_its_reference() -> None:
    assert set(tables.run_replay().ratios) == {f"window64-{order}/python/fynx" for order in ("inorder", "reordered")}


@pytest.mark.usefixtures("quick")
def test_the_vtable_is_measured_beside_the_bare_library() -> None:
    result = aead.run()
    assert "aes128gcm-1400/fynx/bare" in result.ratios
    assert {row.system for row in result.rows} == {"fynx", "bare"}
