"""The demo's report: a failed step fails it, and JSON says what the lines say."""

from __future__ import annotations

import json

import pytest

from fynx.demo.report import Report


def test_one_failed_step_is_named_and_gives_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("1", "root", "a reason", "fynx", as_json=False)
    report.add("ping", True, "fine")
    report.add("replay", False, "3 delivered")
    assert report.finish() == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith("replay")


def test_a_report_without_steps_is_no_pass() -> None:
    assert Report("1", "root", "a reason", "fynx", as_json=False).finish() == 1


def test_json_is_one_object_on_stdout_with_the_facts(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("1", "root", "a reason", "fynx", as_json=True)
    report.start()
    report.add("ping", True, "5 of 5", received=5)
    assert report.finish() == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["schema"] == "fynx.demo/1"
    assert next(iter(facts)) == "schema"
    assert facts["steps"] == [{"name": "ping", "ok": True, "text": "5 of 5", "received": 5}]
