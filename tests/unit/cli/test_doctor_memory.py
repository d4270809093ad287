"""What ``fynx doctor`` says of the limit on locked memory, in which keys lie."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, resource
resource.setrlimit(resource.RLIMIT_MEMLOCK, ({limit}, {limit}))
if os.getuid() == 0:
    os.seteuid(65534)
from fynx.cli.doctor import machine
print(next(each.verdict for each in machine() if each.name == "locked memory"))
"""


@pytest.mark.parametrize(("limit", "verdict"), [(65536, "warn"), (1 << 20, "ok")])
def test_doctor_warns_when_keys_may_be_swapped(limit: int, verdict: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(limit=limit)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == verdict
