"""The lock, the note and the directory of a running host (rows L14, L16, L17)."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from fynx.run.failures import HostError, from_os, permission_line
from fynx.run.files import RunFiles
from fynx.run.notes import adopted, names


def test_a_name_runs_once_and_may_run_again_afterwards(tmp_path: Path) -> None:
    first, second = RunFiles("hq", tmp_path / "run"), RunFiles("hq", tmp_path / "run")
    first.acquire()
    with pytest.raises(HostError, match=f"hq is running already .process {os.getpid()}") as caught:
        second.acquire()
    assert caught.value.exit_code == 3
    first.release()
    second.acquire()
    second.release()
    assert not (tmp_path / "run").exists()


def test_a_lock_file_left_by_a_crash_stops_nobody(tmp_path: Path) -> None:
    files = RunFiles("hq", tmp_path)
    files.lock.write_text("999999\n")
    files.acquire()
    assert files.lock.read_text() == f"{os.getpid()}\n"
    files.release()


@pytest.mark.parametrize("which", ["lock", "state"])
def test_a_symbolic_link_is_not_followed(tmp_path: Path, which: str) -> None:
    files = RunFiles("hq", tmp_path)
    victim = tmp_path / "victim"
    victim.write_text('{"secret": 1}')
    getattr(files, which).symlink_to(victim)
    if which == "lock":
        with pytest.raises(HostError) as caught:
            files.acquire()
        assert caught.value.exit_code == 4
    else:
        assert files.read_state() == {}
        files.write_state({"plane": {}})
        assert not files.state.is_symlink()
    assert victim.read_text() == '{"secret": 1}'


def test_a_directory_that_others_can_write_is_refused(tmp_path: Path) -> None:
    open_to_all = tmp_path / "run"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(HostError, match="ours alone") as caught:
        RunFiles("hq", open_to_all).acquire()
    assert caught.value.exit_code == 4
    assert str(open_to_all) in caught.value.remedy


def test_the_note_comes_back_and_an_empty_one_removes_the_file(tmp_path: Path) -> None:
    files = RunFiles("hq", tmp_path)
    note = {
        "plane": {"guards": [{"peer": "a", "child": "net", "remote": ["10.0.0.0/8"]}]},
        "resolved": {"vpn.example.net": ["192.0.2.1"]},
    }
    files.write_state(note)
    assert files.state.stat().st_mode & 0o777 == 0o600
    found = files.read_state()
    assert adopted(found) == (("a", "net"),)
    assert names(found) == {"vpn.example.net": ("192.0.2.1",)}
    files.write_state({})
    assert not files.state.exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"plane": 3, "resolved": []}', '{"plane": {"guards": [1, {}]}}', "\0"]
)
def test_a_note_that_nobody_can_read_is_passed_over(tmp_path: Path, text: str) -> None:
    files = RunFiles("hq", tmp_path)
    files.state.write_text(text)
    found = files.read_state()
    assert adopted(found) == ()
    assert names(found) == {}


def test_a_note_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    """Row L14: the directory is gone, or the disk is full."""
    RunFiles("hq", tmp_path / "gone").write_state({"plane": {}})


def test_the_line_that_gives_privileges_keeps_what_is_read_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FYNX_CONFIG", "/srv/site one.yaml")
    monkeypatch.delenv("FYNX_RUN_DIR", raising=False)
    monkeypatch.setattr(sys, "argv", ["fynx", "run", "-c", "site one.yaml"])
    sudo = f"sudo --preserve-env=FYNX_CONFIG,HQ_PSK {sys.executable} -m fynx run -c 'site one.yaml'"
    assert permission_line(["HQ_PSK", "HQ_PSK"]) == sudo
    monkeypatch.delenv("FYNX_CONFIG")
    assert permission_line() == sudo.replace(" --preserve-env=FYNX_CONFIG,HQ_PSK", "")


def test_a_port_in_use_is_told_with_the_remedy_of_its_owner() -> None:
    told = from_os(OSError(errno.EADDRINUSE, "Address already in use"), "transport tcp", busy="another port")
    assert (told.exit_code, told.remedy) == (3, "another port")
