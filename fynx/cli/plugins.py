"""``fynx plugins``: what is installed, what is enabled, where it comes from and what it registers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from fynx.cli.enabled import registry
from fynx.cli.new import new
from fynx.cli.options import config_file, config_option, json_option, plugin_option
from fynx.cli.output import as_json as print_json
from fynx.cli.output import table
from fynx.errors import FynxError
from fynx.kernel.check import SHAPES
from fynx.kernel.declared import declared
from fynx.kernel.entrypoints import Candidate, installed
from fynx.kernel.file import from_file
from fynx.kernel.registry import Registry
from fynx.kernel.words import did_you_mean


@click.group(invoke_without_command=True)
@click.pass_context
def plugins(context: click.Context) -> None:
    """Installed and enabled plugins; without a further word the list of them."""
    if context.invoked_subcommand is None:
        context.invoke(list_, config=None, files=(), as_json=False)


@plugins.command("list")
@config_option
@plugin_option
@json_option
def list_(config: Path | None, files: tuple[Path, ...], as_json: bool) -> None:
    """List all installed plugins; * marks those that the configuration enables. The others are not imported."""
    loaded = registry(config, files)
    rows = _facts(loaded, files)
    if as_json:
        print_json("plugins", {"plugins": rows})
        return
    table(
        ("", "plugin", "API", "distribution", "provides"),
        [
            (
                "*" if row["enabled"] else "",
                str(row["name"]),
                str(row["api"] or "?"),
                f"{row['distribution']} {row['version']}",
                _short(loaded, str(row["name"])) or ", ".join(map(str, _kinds(row))),
            )
            for row in rows
        ],
    )


@plugins.command()
@click.argument("name")
@config_option
@plugin_option
@json_option
def info(name: str, config: Path | None, files: tuple[Path, ...], as_json: bool) -> None:
    """Show one plugin: origin, interface version, hooks, and what it registers."""
    loaded = registry(config, files)
    facts = next((row for row in _facts(loaded, files) if row["name"] == name), None)
    if facts is None:
        known = ", ".join(installed())
        raise click.BadParameter(f"no plugin {name!r} is installed{did_you_mean(name, installed())}: {known}")
    facts["registers"] = [{"kind": kind, "key": key} for kind, key in _registered(loaded, name)]
    if as_json:
        print_json("plugin", facts)
        return
    for key in ("name", "enabled", "distribution", "version", "api", "module"):
        shown = "unknown" if facts[key] is None else facts[key]
        click.echo(f"{key + ':':<14}{str(shown).lower() if key == 'enabled' else shown}")
    hooks = facts["hooks"]
    for hook in hooks if isinstance(hooks, list) else ():
        click.echo(f"{'hook:':<14}{hook}")
    for kind, key in _registered(loaded, name):
        click.echo(f"{kind + ':':<14}{' ' if len(kind) > 12 else ''}{key}")


@plugins.command()
@click.argument("name", required=False)
@plugin_option
@click.option("--limit-s", type=float, default=60.0, show_default=True, help="For each check.")
@json_option
def test(name: str | None, files: tuple[Path, ...], limit_s: float, as_json: bool) -> int:
    """Examine a plugin by the conformance kit, installed (NAME) or in a file (-p); nothing needs to be configured.

    Exit code 1 when a check refuses it.
    """
    from fynx.testing.kit.outside import examine

    if (name is None) == (not files) or len(files) > 1:
        raise click.UsageError("give the NAME of an installed plugin, or one file with -p")
    file = files[0] if files else None
    found = []
    for outcome in examine(file.stem if file else str(name), file, limit_s=limit_s):
        found.append(outcome)
        if not as_json:
            click.echo(f"ok      {outcome.check}" if outcome.ok else f"REFUSED {outcome.check}: {outcome.why}")
    refused = [one for one in found if not one.ok]
    if as_json:
        rows = [{"check": one.check, "ok": one.ok, "why": one.why} for one in found]
        print_json("plugin-test", {"plugin": name or str(file), "ok": not refused, "checks": rows})
    else:
        click.echo(f"{len(found)} checks, {len(refused)} refused")
    return 1 if refused else 0


plugins.add_command(new)


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


def _facts(loaded: Registry, files: Sequence[Path] = ()) -> list[dict[str, object]]:
    found = [one for candidates in installed().values() for one in candidates]
    return [_fact(loaded, one) for one in (*found, *map(from_file, files))]


def _fact(loaded: Registry, one: Candidate) -> dict[str, object]:
    """Of an enabled plugin what it registered, of another what its source says."""
    enabled, said = loaded.plugins.get(one.name), declared(one)
    hooks = list(enabled.hooks if enabled else said.hooks)
    registered = [f"{kind} {key}" for kind, key in _registered(loaded, one.name)]
    return {
        "name": one.name,
        "enabled": enabled is not None,
        "distribution": one.distribution,
        "version": one.version,
        "api": enabled.api if enabled else said.api,
        "module": one.value,
        "hooks": hooks,
        "provides": registered if enabled else _kinds({"hooks": hooks}),
    }


def _kinds(row: Mapping[str, object]) -> list[str]:
    """What the hooks are for, in the words of ``SHAPES``."""
    hooks = row["hooks"]
    words = (SHAPES[hook].noun if hook in SHAPES else hook for hook in (hooks if isinstance(hooks, list) else ()))
    return [f"{word}" for word in words]


def _registered(loaded: Registry, name: str) -> list[tuple[str, str]]:
    return [(kind, key) for (kind, key), owner in loaded.owners.items() if owner == name]


def _short(loaded: Registry, name: str) -> str:
    """Keywords rather than numbers; names of the rest."""
    numbered = {"cipher", "PRF", "integrity algorithm", "key exchange"}
    found = _registered(loaded, name)
    words = [key if kind == "keyword" else f"{kind} {key}" for kind, key in found if kind not in numbered]
    return ", ".join(words)
