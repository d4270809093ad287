"""What every test run checks first and last: the peers are installed, and nothing is left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import tests.patience  # noqa: F401  before any test is read
from tests.fresh import fresh  # noqa: F401  a fixture for several folders

TESTS = Path(__file__).resolve().parent
MARK = "FYNX_TEST_RUN"
STRONGSWAN = (
    "charon-systemd",
    "strongswan-swanctl",
    "libcharon-extra-plugins",
    "libstrongswan-extra-plugins",
    "libstrongswan-standard-plugins",
)
NEEDS: dict[str, dict[str, tuple[str, ...]]] = {
    "interop": {"charon-systemd": STRONGSWAN, "tshark": ("tshark",), "ip": ("iproute2",), "nft": ("nftables",)},
    "netns": {"ip": ("iproute2",), "nft": ("nftables",), "ping": ("iputils-ping",), "tshark": ("tshark",)},
    "monitoring": {"prometheus": ("prometheus",), "promtool": ("prometheus",)},
    "cext": {"clang": ("clang", "libclang-rt-14-dev"), "cc": ("gcc", "libc6-dev")},
    "demo": {"ip": ("iproute2",), "nft": ("nftables",), "ping": ("iputils-ping",)},
}
"""Folder of tests -> program -> Debian packages that bring it."""
COMPARED = ("ip netns list", "ip -brief link", "ip rule", "ip -6 rule", "ip route show table all", "nft list tables")
AS_ROOT = {"interop", "netns", "demo"}


def pytest_configure(config: pytest.Config) -> None:
    from tests.canary import Canary

    config.pluginmanager.register(Canary(), "fynx-canary")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run soaks, wide sweeps and long fuzzing")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
        items[:] = [item for item in items if item.get_closest_marker("long") is None]
    folders = {item.path.relative_to(TESTS).parts[0] for item in items if item.path.is_relative_to(TESTS)}
    missing = missing_packages(folders)
    if missing:
        line = f"apt-get install -y --no-install-recommends {' '.join(missing)}"
        raise pytest.UsageError(f"programs that these tests need are missing; run ./run test, or: sudo {line}")
    if folders & AS_ROOT and os.geteuid() != 0:
        raise pytest.UsageError(f"tests/{{{','.join(sorted(folders & AS_ROOT))}}} need root: sudo ./run test")


def missing_packages(folders: set[str]) -> list[str]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    wanted = {
        package
        for folder in folders & NEEDS.keys()
        for program, packages in NEEDS[folder].items()
        if shutil.which(program, path=path) is None
        for package in packages
    }
    return sorted(wanted)


def pytest_sessionstart(session: pytest.Session) -> None:
    os.environ[MARK] = uuid.uuid4().hex
    session.config.stash[BEFORE] = network_state()


def pytest_sessionfinish(session: pytest.Session) -> None:
    left = [f"process {line}" for line in marked_processes()]
    before = session.config.stash[BEFORE]
    left += sorted(network_state() - before)
    if left:
        session.config.stash[LEFT] = left
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(LEFT, []):
        terminalreporter.write_line(f"LEFT BEHIND by the tests: {line}", red=True)


BEFORE = pytest.StashKey[set[str]]()
LEFT = pytest.StashKey[list[str]]()


def marked_processes() -> Iterator[str]:
    """Processes other than this one that inherited the mark of this run, orphans included."""
    needle = f"{MARK}={os.environ[MARK]}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        try:
            if needle in (folder / "environ").read_bytes():
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                yield f"{folder.name}: {command}"
        except OSError:  # gone in the meantime, or not ours to read
            continue


def network_state() -> set[str]:
    """Namespaces, devices, rules and tables of this network namespace.

    ``./run test`` gives each run a network namespace of its own, so that all of it is this run's; without that
    (plain pytest), other programs change these things too and they are not compared.
    """
    if not os.environ.get("FYNX_TEST_ISOLATED"):
        return set()
    state: set[str] = set()
    for command in COMPARED:
        done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
        state |= {f"{command}: {line.strip()}" for line in done.stdout.splitlines()}
    return state
