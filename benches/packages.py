"""``python -m benches.packages NAME``: a package of Debian 13 on Debian 12, fetched with apt from the machine's
own mirror into ``build``, and unpacked there.

apt gets lists and caches of its own; the sources are those of the machine with the suite exchanged, so that nothing of
the system changes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benches.lab import FOLDER, BenchError, number, sh

SUITE = "trixie"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Where a package was unpacked, and its upstream version."""

    root: Path
    version: str


def unpacked(package: str) -> Unpacked:
    """Raises BenchError when no mirror is known or it does not answer."""
    folder = FOLDER / SUITE
    folder.mkdir(parents=True, exist_ok=True)
    found = next(iter(sorted(folder.glob(f"{package}_*.deb"))), None)
    if found is None:
        _download(package, folder)
        found = next(iter(sorted(folder.glob(f"{package}_*.deb"))))
    root = folder / package
    if not root.is_dir():
        sh("dpkg", "-x", str(found), str(root))
    return Unpacked(root, number(found.name.split("_")[1]))


def _download(package: str, folder: Path) -> None:
    sources = folder / f"{SUITE}.sources"
    sources.write_text(
        f"Types: deb\nURIs: {mirror()}\nSuites: {SUITE}\nComponents: main\nSigned-By: {KEYRING}\n", encoding="ascii"
    )
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::Etc::SourceList": str(sources),
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": str(folder / "lists"),
        "Dir::State::Status": "/dev/null",
        "Dir::Cache": str(folder / "cache"),
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
    }
    words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    sh("apt-get", "-q", *words, "update")
    sh("sh", "-c", 'cd "$0" && exec apt-get -q "$@"', str(folder), *words, "download", package)


def mirror(etc: Path = Path("/etc/apt")) -> str:
    """Where the machine gets Debian's main archive from, and not its security updates."""
    for text in _sources(etc):
        if "-security" not in text and "debian" in text:
            return text
    raise BenchError("no mirror of Debian in /etc/apt: wireguard-go of Debian 13 cannot be fetched")


def _sources(etc: Path) -> Iterator[str]:
    for file in sorted((etc / "sources.list.d").glob("*.sources")):
        for line in file.read_text().splitlines():
            if line.startswith("URIs:"):
                yield from line.split()[1:]
    lists = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]
    for file in lists:
        if file.is_file():
            yield from re.findall(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)", file.read_text(), re.MULTILINE)


if __name__ == "__main__":
    try:
        unpacked(sys.argv[1])
    except BenchError as error:
        sys.exit(f"benches: {error}")
