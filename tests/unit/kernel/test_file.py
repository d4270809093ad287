"""Plugins in single files: whose file it is, and who else may write it, is looked at before anything of it runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fynx.errors import PluginError
from fynx.events import NatDetected
from fynx.kernel.file import from_file
from fynx.kernel.loader import boot

SOURCE = """
from fynx.plugin import hookimpl
FYNX_API = 1
HEARD = []
@hookimpl
def fynx_event(event): HEARD.append(event)
"""
STRANGER = 12345


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bell.py"
    path.write_text(SOURCE)
    path.chmod(0o644)
    return path


def test_a_file_is_a_plugin_named_after_it_and_hears_events(file: Path) -> None:
    registry = boot(["default"], files=[from_file(file)])
    info = registry.plugins["bell"]
    assert (info.distribution, info.module, info.hooks, info.api) == ("file", str(file), ("fynx_event",), 1)
    registry.notify.event(NatDetected("hq", local=True, remote=False))
    assert registry.notify.counters()["bell.fynx_event.calls"] == 1


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o777])
def test_a_file_that_others_can_write_is_refused_with_the_command_to_run(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(PluginError, match=f"can be written by others: chmod go-w {file}"):
        from_file(file)


def test_a_file_of_somebody_else_is_refused(file: Path) -> None:
    assert os.geteuid() == 0, "changing owners needs root: run this by ./run test"
    os.chown(file, STRANGER, STRANGER)
    with pytest.raises(PluginError, match=f"belongs to user {STRANGER}: sudo chown 0 "):
        from_file(file)


def test_a_folder_in_which_others_can_put_another_file_is_refused(file: Path) -> None:
    file.parent.chmod(0o777)
    with pytest.raises(PluginError, match=r"the folder .* can be changed by others: chmod go-w"):
        from_file(file)


def test_a_sticky_folder_protects_the_file(file: Path) -> None:
    file.parent.chmod(0o1777)
    assert from_file(file).name == "bell"


@pytest.mark.parametrize(
    ("kind", "said"), [("fifo", "not a regular file"), ("nothing", "cannot be read: No such file")]
)
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str, said: str) -> None:
    path = tmp_path / "bell.py"
    if kind == "fifo":
        os.mkfifo(path, 0o600)
    with pytest.raises(PluginError, match=said):
        from_file(path)


def test_a_change_after_the_look_changes_nothing(file: Path) -> None:
    candidate = from_file(file)
    file.write_text("raise RuntimeError('somebody was here')")
    assert "bell" in boot(["default"], files=[candidate]).plugins


def test_a_name_that_is_taken_is_refused(file: Path) -> None:
    psk = file.rename(file.with_name("psk.py"))
    with pytest.raises(PluginError, match="a plugin of this name is already loaded; rename the file"):
        boot(["default"], files=[from_file(psk)])


def test_a_file_that_raises_is_named_with_its_path(file: Path) -> None:
    file.write_text("raise OSError('disk')")
    with pytest.raises(PluginError, match=rf"-p {file}: plugin 'bell' .*cannot be imported: OSError: disk"):
        boot(["default"], files=[from_file(file)])
