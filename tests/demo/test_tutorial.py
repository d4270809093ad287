"""The tutorial as it stands on its page: every block in turn, by a shell in namespaces of its own."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OWN = "mount -t tmpfs fynx /run && ip link set lo up && exec bash script"
READY = [("is running", 2), ("child net up", 4), ("is running", 4)]
"""What the page waits 5 s for, each time: a line of the logs, and how many of them."""
SAYS = [
    r"left\.yaml: ok",
    r"right\.yaml: ok",
    r"right is up",
    r"3 packets transmitted, 3 received",
    r"right +established",
    r"No route to host",
    r"1 packets transmitted, 1 received",
    r"the pre-shared keys differ",
    r"FYNX-2001: right: the peer refused our identity left\.example[^\n]*\n    try: compare the secret",
    r"right has stopped",
]


def lines() -> Iterator[str]:
    page = (ROOT / "docs" / "tutorial.md").read_text()
    for name, kind, block in re.findall(
        r"^(?:`(\w+\.yaml)`:\n\n)?```(sh|yaml)\n(.*?)^```", page, re.DOTALL | re.MULTILINE
    ):
        if kind == "yaml":
            yield f"cat > {name} <<'END'\n{block}END\n"
        elif "./run demo" not in block:  # tests/demo/test_demo.py
            yield block


def script() -> str:
    parts = re.split(r"^sleep 5\b.*$", "".join(lines()), flags=re.MULTILINE)
    assert len(parts) == len(READY) + 1
    waits = [f'until [ "$(grep -c "{text}" said)" -ge {count} ]; do sleep 0.2; done' for text, count in READY]
    return "".join(part + wait for part, wait in zip(parts, [*waits, ""], strict=True))


def test_every_block_of_the_tutorial_does_what_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(ROOT / "run")
    (tmp_path / "script").write_text(script())
    with (tmp_path / "said").open("wb") as said:
        subprocess.run(
            ["unshare", "--net", "--mount", "sh", "-c", OWN],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "NO_COLOR": "1"},
            timeout=150,
            check=True,
        )
    text = (tmp_path / "said").read_text()
    assert re.search(r"[\s\S]*".join(SAYS), text), text
