"""A benchmark that a signal ends leaves no namespace behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.netns.world import run

ROOT = Path(__file__).resolve().parents[2]
HELD = """
import sys, time
from benches import __main__ as program
from benches.lab import Link

def held(_options):
    link = Link("held")
    try:
        link.make()
        print(link.left.namespace, flush=True)
        time.sleep(60)
    finally:
        link.delete()

program.BENCHES["held"] = ("", held)
sys.exit(program.interruptible(["held"]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_benchmark_with_its_namespaces(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", HELD], cwd=ROOT, stdout=subprocess.PIPE, text=True) as bench:
        try:
            assert bench.stdout is not None
            namespace = bench.stdout.readline().strip()
            assert namespace in run("ip", "netns", "list"), "the control: it was there"
            bench.send_signal(number)
            assert bench.wait(30) == 128 + number
        finally:
            bench.kill()
    assert namespace not in run("ip", "netns", "list")
