"""What the demo makes of ends that are slow, and of one that does not end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from fynx.demo import ends
from fynx.demo.report import Report

IGNORES = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"


@pytest.fixture
def report() -> Report:
    return Report("0", "root", "", "fynx", as_json=True)


@pytest.mark.parametrize(("bob_s", "ok", "said"), [(41.5, True, "bob ended in 41.50 s"), (None, False, "bob had to")])
def test_an_end_may_be_slow_and_must_not_be_killed(report: Report, bob_s: float | None, ok: bool, said: str) -> None:
    ends.tell_end(report, {"alice": 0.25, "bob": bob_s})
    (step,) = report.steps
    assert step.ok is ok
    assert said in step.text
    assert step.facts == {"alice_s": 0.25, "bob_s": bob_s}


def test_a_program_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "PATIENCE_S", 0.05)
    with subprocess.Popen([sys.executable, "-c", IGNORES], stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        program.stdout.readline()
        program.terminate()
        assert ends.ended(program) is None
        assert program.returncode == -9


def test_replays_are_counted_once_all_of_them_were_looked_at() -> None:
    def slowly() -> Iterator[dict[str, object]]:
        for count in (7, 7, 12, 107):
            yield {"drops": {"replay": count}}

    looks = slowly()
    assert ends.refused(lambda: next(looks), 7, 100) == 100
