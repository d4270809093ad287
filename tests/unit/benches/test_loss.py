"""The benchmark of a bad path runs and says what the schema asks for; its figures are not judged here."""

from __future__ import annotations

import json

import pytest

from benches import __main__ as program


def test_operations_on_a_bad_path_are_timed_with_their_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["loss", "--json", "--times", "3", "--case", "liveness"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["case"], row["unit"]) for row in rows] == [
        ("liveness", "s"),
        ("liveness-p90", "s"),
        ("liveness-p99", "s"),
    ]
    assert all(0.2 <= row["min"] <= row["median"] <= row["max"] for row in rows)


def test_an_operation_that_is_not_there_fails_with_the_list_of_those_that_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert program.main(["loss", "--case", "dance"]) == 1
    assert "child-rekey" in capsys.readouterr().err
