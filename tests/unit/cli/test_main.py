"""The program itself: exit codes, no tracebacks, lazy commands, commands of plugins."""

from __future__ import annotations

import errno
import importlib
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

import fynx as library
from fynx.cli import main as program
from fynx.cli.failure import exit_code
from fynx.cli.main import COMMANDS, HELP
from fynx.cli.output import table
from fynx.errors import ConfigError, FynxError, PluginError, Problem
from tests.unit.cli.program import Fynx
from tests.unit.kernel.site import HEAD, Site

ROOT = Path(__file__).resolve().parents[3]


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.strip()


def test_the_version_is_that_of_the_distribution(fynx: Fynx) -> None:
    done = fynx("--version")
    assert done.code == 0
    assert done.out == f"fynx, version {library.__version__}\n"
    assert f'version = "{library.__version__}"' in (ROOT / "pyproject.toml").read_text()


def test_a_mistyped_command_is_told_with_the_one_that_was_meant(fynx: Fynx) -> None:
    done = fynx("stauts")
    assert done.code == 2
    assert "No such command 'stauts'; did you mean 'status'?" in done.err
    assert "No such command 'qqqqqq'.\n" in fynx("qqqqqq").err


def test_help_lists_every_command_without_importing_any() -> None:
    assert set(HELP) == set(COMMANDS)
    listing = "print(sorted(n for n in sys.modules if n.startswith('fynx.cli.')))"
    printed = python(f"import sys, fynx.cli.main as m; m.run(['--help']); {listing}")
    assert printed.endswith("['fynx.cli.failure', 'fynx.cli.main']")
    for name in COMMANDS:
        assert f"\n  {name} " in printed


@pytest.mark.parametrize("name", COMMANDS)
def test_a_built_in_command_exists_and_explains_itself(name: str) -> None:
    module, _, attribute = COMMANDS[name].partition(":")
    command = getattr(importlib.import_module(module), attribute)
    assert isinstance(command, click.Command)
    assert command.help


def test_importing_the_library_imports_nothing_heavy() -> None:
    heavy = ["click", "rich", "yaml", "pydantic", "pluggy", "cffi", "asyncio", "cryptography"]
    assert python(f"import sys, fynx; print([n for n in {heavy!r} if n in sys.modules])") == "[]"


def test_making_a_key_needs_neither_the_runtime_nor_the_plugins() -> None:
    heavy = ["rich", "yaml", "pydantic", "pluggy", "fynx.run", "fynx.ike", "cryptography"]
    code = f"import sys, fynx.cli.main as m; m.run(['psk', 'gen']); print([n for n in {heavy!r} if n in sys.modules])"
    assert python(code).splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments", [["nope"], ["check", "--nope"], ["psk"], ["plugins", "info"], ["psk", "gen", "x"]]
)
def test_wrong_usage_ends_with_2(fynx: Fynx, arguments: list[str]) -> None:
    done = fynx(*arguments)
    assert done.code == 2
    assert "Usage: fynx" in done.err


class Remedied(FynxError):
    exit_code = 6
    remedy = "wait longer"


FAILURES: list[tuple[BaseException, int, str]] = [
    (FynxError("refused"), 1, "FYNX-9001: refused"),
    (Remedied("too late"), 6, "    try: wait longer"),
    (ConfigError((Problem("bad", path="a.b", file="f", line=1, column=2),)), 5, "FYNX-1005: f:1:2: a.b: bad"),
    (
        PluginError("x", "raises", distribution="acme 1", path="plugins[0]"),
        5,
        "plugins[0]: plugin 'x' (distribution acme 1)",
    ),
    (TimeoutError("no answer"), 6, "FYNX-5002: no answer"),
    (OSError(errno.EADDRINUSE, "Address already in use"), 3, "Address already in use"),
    (PermissionError(errno.EACCES, "Permission denied", "/dev/net/tun"), 4, "/dev/net/tun: Permission denied"),
    (PermissionError(errno.EPERM, "Operation not permitted"), 4, "    try: sudo "),
    (FileNotFoundError(errno.ENOENT, "No such file", "x"), 1, "FYNX-5001: x: No such file\n    try: "),
    (ModuleNotFoundError("No module named 'pyroute2'", name="pyroute2"), 4, "FYNX-5001: the package pyroute2 is "),
    (KeyboardInterrupt(), 130, ""),
    (click.UsageError("odd"), 2, "odd"),
]


@pytest.mark.parametrize(("failure", "code", "said"), FAILURES, ids=lambda value: type(value).__name__)
def test_a_failure_has_its_exit_code_and_no_traceback(
    fynx: Fynx, monkeypatch: pytest.MonkeyPatch, failure: BaseException, code: int, said: str
) -> None:
    def fail(**_: object) -> None:
        raise failure

    monkeypatch.setattr("fynx.cli.psk.generate", lambda *_: fail())
    done = fynx("psk", "gen")
    assert done.code == code
    assert said in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


@pytest.mark.parametrize(("variable", "coloured"), [("", True), ("1", False)])
def test_an_error_on_a_terminal_is_coloured_unless_no_color_is_set(
    fynx: Fynx, monkeypatch: pytest.MonkeyPatch, variable: str, coloured: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", variable)
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)
    assert ("\x1b[31mFYNX-1005" in fynx("check", "none.yaml").err) is coloured


def test_a_bug_keeps_its_traceback() -> None:
    assert exit_code(ZeroDivisionError()) is None
    assert exit_code(ModuleNotFoundError("", name="fynx.cli.nothing")) is None


def test_a_reader_that_goes_away_is_no_failure() -> None:
    command = f"{shlex.quote(sys.executable)} -m fynx --help | true"
    code = (
        "import subprocess; print(subprocess.run(%r, shell=True, capture_output=True, executable='/bin/bash').stderr)"
    )
    assert python(code % f"set -o pipefail; {command}") == "b''"


def test_main_ends_the_process_with_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "run", lambda _: 7)
    with pytest.raises(SystemExit) as caught:
        program.main(["x"])
    assert caught.value.code == 7


COMMAND = (
    HEAD
    + """
import click

@click.command()
@click.option("--json", "as_json", is_flag=True)
def hello(as_json):
    click.echo("hello from acme")

@hookimpl
def fynx_commands(): return [Command("hello", hello)]
"""
)


def test_a_plugin_of_the_configuration_adds_a_command(fynx: Fynx, site: Site) -> None:
    site.install("acme-hello", acme=COMMAND)
    fynx.write("plugins: [acme]\n", "default.yaml")
    done = fynx("hello")
    assert (done.code, done.out) == (0, "hello from acme\n")


def test_a_command_of_a_plugin_that_is_not_enabled_does_not_exist(fynx: Fynx, site: Site) -> None:
    modules = site.install("acme-hello", acme=COMMAND)
    done = fynx("hello")
    assert done.code == 2
    assert "No such command 'hello'" in done.err
    assert modules["acme"] not in sys.modules


def test_a_broken_plugin_is_named_when_its_command_might_have_been_meant(fynx: Fynx, site: Site) -> None:
    site.install("acme-hello", acme="raise RuntimeError('kaput')")
    fynx.write("plugins: [acme]\n", "default.yaml")
    done = fynx("hello")
    assert done.code == 2
    assert "plugin 'acme' (distribution acme-hello 1.2): cannot be imported: RuntimeError: kaput" in done.err


def test_a_table_is_plain_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table(("a", "long heading"), [("x [red]y[/]", "1"), ("z", "")])
    assert capsys.readouterr().out == "a            long heading\nx [red]y[/]  1\nz\n"


def test_a_table_on_a_terminal_has_no_colour_with_no_color(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    table(("a", "b"), [("x [red]y[/]", "1")])
    printed = capsys.readouterr().out
    assert "x [red]y[/]" in printed
    assert "\x1b[3" not in printed
