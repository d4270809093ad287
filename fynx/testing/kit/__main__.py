"""``python -m fynx.testing.kit --fd N NAME``: makes the checks, a line of JSON for each on the descriptor N."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from fynx.errors import CryptoError, FynxError
from fynx.kernel.words import describe
from fynx.testing.kit.subject import Check, Refused, subject
from fynx.testing.kit.table import checks


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--file", type=Path)
    given = parser.parse_args()
    _tell(given.fd, begins="boot")
    try:
        found = subject(given.name, given.file)
    except FynxError as error:
        _tell(given.fd, check="boot", why=str(error), over=True)
        return
    _tell(given.fd, check="boot", why="")
    for check in checks(found):
        _tell(given.fd, begins=check.name)
        _tell(given.fd, check=check.name, why=why(check))
    _tell(given.fd, over=True)
    os._exit(0)  # threads that hang must not keep us


def why(check: Check) -> str:
    try:
        check()
    except (Refused, CryptoError) as error:
        return str(error)
    except (Exception, SystemExit) as error:  # what a plugin raises where nothing may be raised
        return f"raises {describe(error)}"
    return ""


def _tell(fd: int, **fact: object) -> None:
    os.write(fd, json.dumps(fact).encode() + b"\n")


if __name__ == "__main__":
    main()
