"""The inner half of ``fynx demo``: runs where ``fynx.demo.modes`` put it. Arguments: MODE WHY RUN PEER text|json."""

from __future__ import annotations

import signal
import sys
from importlib.metadata import version
from pathlib import Path
from types import FrameType

from fynx.demo.namespace import DemoError
from fynx.demo.report import Report

FOLDER = Path("build/demo")
INTERRUPTED = 130


def main(mode: str, why: str, run_folder: str, peer: str, form: str) -> int:  # the arguments of the program
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)
    report = Report(version("fynx-ipsec"), mode, why, peer, as_json=form == "json")
    report.start()
    try:
        tell(report, Path(run_folder))
    except DemoError as error:
        report.add("demo", False, str(error))
    except OSError as error:
        report.add("demo", False, f"{error.strerror}: {error.filename}" if error.filename else str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    return report.finish()


def tell(report: Report, run_folder: Path) -> None:
    folder = FOLDER.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "psk").unlink(missing_ok=True)
    except PermissionError as error:
        raise DemoError(f"{folder} belongs to another user: sudo rm -r {folder}") from error
    if report.mode == "loopback":
        from fynx.demo.loopback import Loopback

        Loopback(report, folder).run()
    else:
        from fynx.demo.story import Story

        Story(report, folder, run_folder).run()


def interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:6]))
