"""The house rules that a program can check: directions of import, isolation of plugins, sizes of files."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent

BASE = {"errors", "events", "plugin", "record", "wire"}
MAY_IMPORT = {
    "record": set(),
    "errors": set(),
    "events": {"errors"},
    "wire": {"errors", "record"},
    "plugin": {"wire", "errors", "events", "record"},
    "ike": BASE,
    "kernel": {"plugin", "errors", "events"},
    "config": {"plugin", "kernel", "wire", "errors"},
    "esp": {"plugin", "errors", "record"},
    "sim": {"ike", *BASE},
    "logs": {"events"},
    "run": {"ike", "kernel", "config", "esp", "logs", "metrics", *BASE},
    "faults": {"errors", "plugin"},
    "recovery": {"errors", "faults"},
    "metrics": {"events", "plugin"},
    "net": {"faults", "errors", "plugin"},
    "api": {"run", "net", "ike", "kernel", "config", "faults", "logs", "metrics", *BASE},
    "demo": {"run", "kernel", "config", *BASE},
    "cli": {"run", "api", "net", "faults", "kernel", "config", "demo", "testing", "logs", *BASE},
    "testing": {"api", "config", "esp", "run", "sim", "ike", "kernel", *BASE},
    "__init__": {"api", "run", "config", *BASE},
    "__main__": {"cli"},
}
"""Package of fynx -> packages of fynx that it may name."""

MAY_USE = {
    "plugin": {"pluggy"},
    "kernel": {"pluggy"},
    "config": {"yaml", "pydantic", "pydantic_core"},
    "esp": {"cffi", "_cffi_backend", "cryptography"},
    "cli": {"click", "rich", "yaml"},
    "demo": {"click", "rich", "vici"},
    "testing": {"pytest"},
}
"""Packages from outside the standard library, by the only packages of fynx that may name them."""

NO_IO = {"wire", "ike", "errors", "events", "record"}
OUTSIDE_WORLD = {"asyncio", "concurrent", "multiprocessing", "os", "random", "secrets", "select", "selectors", "signal"}
OUTSIDE_WORLD |= {"socket", "ssl", "subprocess", "tempfile", "threading", "time"}
LOADERS = {"fynx/kernel/entrypoints.py", "fynx/cli/main.py", "fynx/cli/doctor.py"}
"""May import by name: entry points of plugins, built-in commands when asked for, the check of the C build."""

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
LONGER_FILES: dict[str, str] = {}
LONGER_FUNCTIONS: dict[str, str] = {}
"""Exceptions, each with its reason: ``path`` or ``path:function``."""


class Import(NamedTuple):
    line: int
    module: str


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(tree: ast.AST, package: str) -> Iterator[Import]:
    """Every module named by an import statement, wherever it stands; relative ones made absolute in ``package``."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (Import(node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=0):
                yield from (Import(node.lineno, f"{module}.{alias.name}") for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                parent = ".".join(package.split(".")[: len(package.split(".")) - level + 1])
                base = f"{parent}.{module}" if module else parent
                yield from (Import(node.lineno, f"{base}.{alias.name}") for alias in names)


def imports_of(path: Path) -> list[Import]:
    relative = path.relative_to(ROOT)
    parts = relative.parts[1:] if relative.parts[0] == "plugins" else relative.parts
    return list(imports(ast.parse(path.read_text()), ".".join(parts[:-1])))


def layer(path: Path) -> str:
    part = path.relative_to(ROOT / "fynx").parts[0]
    return part.removesuffix(".py")


def import_faults(here: str, found: list[Import]) -> Iterator[str]:
    """What the tables above say against the imports of a module in package ``here``."""
    for line, module in found:
        top, _, rest = module.partition(".")
        if top == "fynx":
            target = rest.partition(".")[0] or "__init__"
            if target != here and target not in MAY_IMPORT[here] and (ROOT / "fynx" / target).exists():
                yield f"{line}: {here} imports fynx.{target}"
        elif top == "fynx_plugins":
            yield f"{line}: {here} imports the plugin {module}"
        elif top not in sys.stdlib_module_names and top not in MAY_USE.get(here, set()):
            yield f"{line}: {here} imports {module}"
        elif (here in NO_IO and top in OUTSIDE_WORLD) or module.startswith("logging.handlers"):
            yield f"{line}: {here} reaches the outside world through {module}"


def test_imports_follow_the_direction_of_the_house() -> None:
    files = python_files("fynx")
    assert files, "no source found"
    faults = [f"{name(path)}:{fault}" for path in files for fault in import_faults(layer(path), imports_of(path))]
    assert not faults, "\n".join(faults)


def test_every_package_of_fynx_has_a_row_in_the_table() -> None:
    assert {layer(path) for path in python_files("fynx")} <= set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("here", "statement"),
    [
        ("ike", "import time"),
        ("ike", "from os import urandom"),
        ("ike", "from fynx.run.host import Host"),
        ("wire", "from fynx.plugin import Path"),
        ("kernel", "import fynx_plugins.psk"),
        ("kernel", "from fynx.ike import endpoint"),
        ("sim", "from fynx.run import driver"),
        ("run", "from fynx.cli import main"),
        ("run", "import yaml"),
        ("wire", "def late():\n    import asyncio"),
    ],
)
def test_a_forbidden_import_is_noticed(here: str, statement: str) -> None:
    assert list(import_faults(here, list(imports(ast.parse(statement), f"fynx.{here}"))))


def test_plugins_import_only_the_plugin_interface_and_no_other_plugin() -> None:
    faults = []
    for path in python_files("plugins/fynx_plugins"):
        own = path.relative_to(ROOT / "plugins/fynx_plugins").parts[0].removesuffix(".py")
        for line, module in imports_of(path):
            parts = module.split(".")
            foreign_fynx = parts[0] == "fynx" and parts[1:2] != ["plugin"]
            foreign_plugin = parts[0] == "fynx_plugins" and parts[1:2] != [own]
            if foreign_fynx or foreign_plugin:
                faults.append(f"{name(path)}:{line}: imports {module}")
    assert not faults, "\n".join(faults)


def test_only_the_loader_imports_by_name() -> None:
    faults = []
    for path in python_files("fynx"):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        names = {ast.unparse(call.func).rpartition(".")[2] for call in calls}
        if names & {"import_module", "__import__", "load_setuptools_entrypoints"} and name(path) not in LOADERS:
            faults.append(name(path))
    assert not faults, f"import by name outside {LOADERS}: {faults}"


def test_the_state_of_an_sa_is_assigned_in_states_alone() -> None:
    faults = []
    for path in python_files("fynx/ike"):
        for node in ast.walk(ast.parse(path.read_text())):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            stores = [t for t in targets if isinstance(t, ast.Attribute) and t.attr == "state"]
            if stores and path.name != "states.py":
                faults.append(f"{name(path)}:{stores[0].lineno}")
    assert not faults, f".state assigned outside states.py: {faults}"


def test_importing_the_library_loads_neither_the_command_line_nor_the_configuration_nor_plugins() -> None:
    heavy = {"click", "rich", "pydantic", "yaml", "pluggy", "fynx_plugins", "fynx.cli", "fynx.config"}
    code = f"import sys, fynx; print(sorted({heavy!r} & set(sys.modules)))"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert seen.stdout.strip() == "[]"


# --- sizes ---


def c_functions(text: str) -> Iterator[tuple[str, int]]:
    """Name and length of each function of a C file laid out with its braces in column one."""
    lines = text.splitlines()
    start, title = 0, ""
    for number, line in enumerate(lines):
        if line and not line[0].isspace() and "(" in line and not line.startswith(("#", "/", "}", "*")):
            start, title = (
                number,
                line.partition("(")[0].split()[-1].lstrip("*") if line.partition("(")[0].strip() else "",
            )
        if line.startswith("}") and title:
            yield title, number - start + 1
            title = ""


def python_functions(text: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def sources() -> list[Path]:
    python = [*python_files("fynx", "plugins", "tests", "benches"), *ROOT.glob("*.py")]
    return [*python, *sorted(path for path in (ROOT / "cext").rglob("*.[ch]"))]


def generated(path: Path) -> bool:
    """C that cffi wrote beside a module; git ignores it."""
    return path.name.startswith("_")


def test_files_stay_short() -> None:
    sizes = {name(path): len(path.read_text().splitlines()) for path in sources() if not generated(path)}
    long = {path: size for path, size in sizes.items() if size > MAX_FILE_LINES and path not in LONGER_FILES}
    assert not long, f"more than {MAX_FILE_LINES} lines: {long}"
    stale = [path for path in LONGER_FILES if sizes.get(path, 0) <= MAX_FILE_LINES]
    assert not stale, f"exceptions no longer needed: {stale}"


def test_functions_stay_short() -> None:
    sizes: dict[str, int] = {}
    for path in sources():
        read = python_functions if path.suffix == ".py" else c_functions
        if not generated(path) or path.suffix == ".py":
            sizes |= {f"{name(path)}:{title}": size for title, size in read(path.read_text())}
    long = {title: size for title, size in sizes.items() if size > MAX_FUNCTION_LINES and title not in LONGER_FUNCTIONS}
    assert not long, f"more than {MAX_FUNCTION_LINES} lines: {long}"
    stale = [title for title in LONGER_FUNCTIONS if sizes.get(title, 0) <= MAX_FUNCTION_LINES]
    assert not stale, f"exceptions no longer needed: {stale}"


def test_a_long_function_is_noticed_in_both_languages() -> None:
    body = "    x = 1\n" * 60
    assert dict(python_functions(f"def long():\n{body}")) == {"long": 61}
    c_body = "    x = 1;\n" * 60
    assert dict(c_functions(f"static int long_one(int x)\n{{\n{c_body}}}\n")) == {"long_one": 63}


def test_modules_open_with_a_sentence_of_duty() -> None:
    files = [path for path in python_files("fynx", "plugins", "benches") if path.read_text().strip()]
    silent = [name(path) for path in files if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent, f"no module docstring: {silent}"


def test_every_example_in_a_single_file_is_checked_for_types() -> None:
    checked = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["modules"]
    assert sorted(checked) == sorted(path.stem for path in (ROOT / "docs/examples/plugins").glob("*.py"))
