"""What passes a link: taken by dumpcap, counted while it comes, and read by tshark with our keys."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.netns.world import Place, run, until

FLUSHED_S = 0.6
"""dumpcap writes what it holds twice a second."""


class Wire:
    """A capture (classic pcap) that goes on. Its file may end within a packet; it keeps the order of the link."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def packets(self) -> int:
        """Those that are whole in the file by now."""
        data, at, count = self.file.read_bytes(), 24, 0
        while len(data) >= at + 16 and len(data) >= (at := at + 16 + int.from_bytes(data[at + 8 : at + 12], "little")):
            count += 1
        return count

    def more(self, count: int) -> None:
        """Waits for so many more: what had passed before them is in the file then."""
        wanted = self.packets() + count
        until(lambda: self.packets() >= wanted, f"{count} packets more in the capture")

    def settle(self) -> None:
        """Waits until nothing comes any more."""
        size = -1
        while size != (size := self.file.stat().st_size):
            time.sleep(FLUSHED_S)


@contextmanager
def captured(place: Place, link: str, file: Path, wanted: str = "", *options: str) -> Iterator[Wire]:
    """What passes the link inside the block and fits the filter; it has begun when the block does."""
    line = ["ip", "netns", "exec", place.name, "dumpcap", "-q", "-P", "-f", wanted, "-i", link, "-w", str(file)]
    with subprocess.Popen([*line, *options], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            assert any("File:" in text for text in process.stderr), "dumpcap begins"
            yield Wire(file)
        finally:
            process.terminate()
            process.stderr.read()


def shark(file: Path, keys: Path | None, wanted: str, field: str, *, whole: bool = True) -> list[str]:
    """One field of each packet that fits the display filter; not ``whole``: of a capture that goes on."""
    tables = [line for line in keys.read_text().splitlines() if line.startswith("uat:")] if keys else []
    options = ["esp.enable_encryption_decode:TRUE", "esp.enable_authentication_check:TRUE", *tables]
    line = ["env", f"WIRESHARK_CONFIG_DIR={file.parent}", "tshark", "-n", "-r", str(file)]
    line += [word for option in options for word in ("-o", option)]
    return run(*line, "-Y", wanted, "-T", "fields", "-e", field, check=whole, within_s=100).splitlines()
