"""``fynx plugins new KIND NAME``: a package whose tests pass as they are, to change from there."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Template

import click

KINDS = {
    "cipher": "A cipher",
    "transport": "A transport",
    "auth": "An authentication method",
    "extension": "An extension of IKE",
    "listener": "A listener",
}
MORE = {"cipher": ', "cryptography>=45"'}


@click.command()
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("name")
@click.option("--into", type=click.Path(path_type=Path), default=Path(), help="The folder to make it in.")
def new(kind: str, name: str, into: Path) -> None:
    """Write a package for a plugin NAME of that KIND; its tests pass as they are. Nothing is overwritten."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
        raise click.UsageError("NAME: lower-case letters, digits and _, beginning with a letter")
    distribution = f"fynx-{name.replace('_', '-')}"
    folder = into / distribution
    if folder.exists():
        raise click.UsageError(f"{folder} exists: remove it, or choose another name")
    module = f"fynx_{name}"
    words = {"name": name, "distribution": distribution, "module": module, "what": KINDS[kind]}
    words["more"] = MORE.get(kind, "")
    for template, target in _files(kind, name, module).items():
        text = files("fynx.cli").joinpath("templates", template).read_text(encoding="utf-8")
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(text).substitute(words), encoding="utf-8")
        click.echo(str(path))
    click.echo(f"cd {folder} && pip install --editable . pytest && pytest", err=True)


def _files(kind: str, name: str, module: str) -> dict[str, str]:
    return {
        "pyproject.toml.in": "pyproject.toml",
        "README.md.in": "README.md",
        f"{kind}.py.in": f"src/{module}/__init__.py",
        f"{kind}_test.py.in": f"tests/test_{name}.py",
    }


__all__ = ["KINDS", "new"]
