"""What the demo says: one line per step for people, one JSON object for programs, from the same facts."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    ok: bool
    text: str
    facts: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Report:
    """Collects the steps of one demo and prints them as they come."""

    version: str
    mode: str
    why: str
    peer: str
    as_json: bool
    steps: list[Step] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def start(self) -> None:
        self._say(f"fynx {self.version}, mode {self.mode}: {self.why}")

    def add(self, name: str, ok: bool, text: str, **facts: object) -> bool:
        """Adds a step; returns ``ok``, so that the story can stop where going on makes no sense."""
        self.steps.append(Step(name, ok, text, facts))
        self._say(f"  {'ok  ' if ok else 'FAIL'}  {name:<11} {text}")
        return ok

    def finish(self) -> int:
        """Prints the verdict; returns the exit code."""
        seconds = round(time.monotonic() - self.began, 1)
        failed = [step.name for step in self.steps if not step.ok]
        passed = bool(self.steps) and not failed
        if self.as_json:
            print(json.dumps(self._facts(passed, seconds)), flush=True)
        else:
            self._say(
                f"PASS in {seconds} s" if passed else f"FAILED in {seconds} s: {', '.join(failed) or 'no step ran'}"
            )
        return 0 if passed else 1

    def _facts(self, passed: bool, seconds: float) -> dict[str, object]:
        steps = [{"name": step.name, "ok": step.ok, "text": step.text, **step.facts} for step in self.steps]
        return {
            "schema": "fynx.demo/1",
            "version": self.version,
            "mode": self.mode,
            "why": self.why,
            "peer": self.peer,
            "pass": passed,
            "seconds": seconds,
            "steps": steps,
        }

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr if self.as_json else sys.stdout, flush=True)
