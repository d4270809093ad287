"""``fynx plugins``: what is installed, what is enabled, where it comes from and what it registers."""

from __future__ import annotations

import os
from pathlib import Path

import click

from fynx.cli.enabled import registry
from fynx.cli.options import config_file, config_option, json_option
from fynx.cli.output import as_json as print_json
from fynx.cli.output import table
from fynx.errors import FynxError
from fynx.kernel.entrypoints import installed
from fynx.kernel.registry import Registry
from fynx.kernel.words import did_you_mean


@click.group()
def plugins() -> None:
    """Installed and enabled plugins."""


@plugins.command("list")
@config_option
@json_option
def list_(config: Path | None, as_json: bool) -> None:
    """List all installed plugins; * marks those that the configuration enables."""
    loaded = registry(config)
    rows = _facts(loaded)
    if as_json:
        print_json("plugins", {"plugins": rows})
        return
    table(
        ("", "plugin", "distribution", "provides"),
        [
            (
                "*" if row["enabled"] else "",
                str(row["name"]),
                f"{row['distribution']} {row['version']}",
                _short(loaded, str(row["name"])),
            )
            for row in rows
        ],
    )


@plugins.command()
@click.argument("name")
@config_option
@json_option
def info(name: str, config: Path | None, as_json: bool) -> None:
    """Show one plugin: origin, hooks, and what it registers."""
    loaded = registry(config)
    facts = next((row for row in _facts(loaded) if row["name"] == name), None)
    if facts is None:
        known = ", ".join(installed())
        raise click.BadParameter(f"no plugin {name!r} is installed{did_you_mean(name, installed())}: {known}")
    facts["registers"] = [{"kind": kind, "key": key} for kind, key in _registered(loaded, name)]
    if as_json:
        print_json("plugin", facts)
        return
    for key in ("name", "enabled", "distribution", "version", "module"):
        click.echo(f"{key + ':':<14}{str(facts[key]).lower() if key == 'enabled' else facts[key]}")
    for hook in loaded.plugins[name].hooks if name in loaded.plugins else ():
        click.echo(f"{'hook:':<14}{hook}")
    for kind, key in _registered(loaded, name):
        click.echo(f"{kind + ':':<14}{' ' if len(kind) > 12 else ''}{key}")


def plugin_command(name: str) -> object:
    """A command that a plugin of the default configuration adds; None when none does."""
    file = config_file(None)
    if not os.access(file, os.R_OK):
        return None
    try:
        command = registry(None).commands.get(name)
    except FynxError as error:
        raise click.UsageError(f"no such command {name!r}; {file} cannot be asked for more:\n{error}") from None
    return command.command if command else None


def _facts(loaded: Registry) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, candidates in installed().items():
        for one in candidates:
            enabled = loaded.plugins.get(name)
            rows.append(
                {
                    "name": name,
                    "enabled": enabled is not None,
                    "distribution": one.distribution,
                    "version": one.version,
                    "module": one.value,
                    "hooks": list(enabled.hooks) if enabled else [],
                }
            )
    return rows


def _registered(loaded: Registry, name: str) -> list[tuple[str, str]]:
    return [(kind, key) for (kind, key), owner in loaded.owners.items() if owner == name]


def _short(loaded: Registry, name: str) -> str:
    """Keywords rather than numbers; names of the rest."""
    numbered = {"cipher", "PRF", "integrity algorithm", "key exchange"}
    found = _registered(loaded, name)
    words = [key if kind == "keyword" else f"{kind} {key}" for kind, key in found if kind not in numbered]
    return ", ".join(words)
