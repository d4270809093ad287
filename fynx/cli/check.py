"""``fynx check``: everything that can be known of a configuration without starting anything."""

from __future__ import annotations

from pathlib import Path

import click

from fynx.cli.failure import CONFIGURATION
from fynx.cli.options import config_file, json_option, plugin_option
from fynx.cli.output import as_json as print_json
from fynx.config import Config, crashing, load
from fynx.errors import ConfigError, PluginError, Problem
from fynx.kernel.file import from_file
from fynx.run.policy import host_policy


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("-c", "--config", "config", type=click.Path(path_type=Path), help="The same as FILE.")
@plugin_option
@json_option
def check(file: Path | None, config: Path | None, files: tuple[Path, ...], as_json: bool) -> None:
    """Check a configuration: syntax, values, plugins, secrets and file modes. Nothing is opened or started.

    Exit code 5 when it cannot be used. Warnings alone do not change the exit code.
    """
    chosen = config_file(file or config)
    try:
        extra = [from_file(each) for each in files]
        loaded = load(chosen, files=extra, left_out=crashing(chosen, extra))
        _complete(loaded, chosen)
        host_policy(loaded, loaded.registry, resolve={})
    except (ConfigError, PluginError) as error:
        if not as_json:
            raise
        errors = _facts(_problems(error, chosen))
        print_json("check", {"file": str(chosen), "ok": False, "errors": errors, "warnings": []})
        click.get_current_context().exit(CONFIGURATION)
    if as_json:
        print_json("check", _summary(chosen, loaded))
        return
    for warning in loaded.warnings:
        click.echo(f"warning: {warning}", err=True)
    children = sum(len(peer.children) for peer in loaded.peers.values())
    counts = (_count(len(loaded.peers), "peer"), _count(children, "child", "children"))
    click.echo(f"{chosen}: ok: {', '.join(counts)}, {_count(len(loaded.registry.plugins), 'plugin')}")


def _problems(error: ConfigError | PluginError, file: Path) -> tuple[Problem, ...]:
    if isinstance(error, ConfigError):
        return error.problems
    return (Problem(str(error), path="plugins", remedy=error.remedy, file=str(file)),)


def _complete(config: Config, file: Path) -> None:
    """``fynx run`` would go on without a plugin that takes the program down; here that is an error."""
    if not config.left_out:
        return
    lost = f"; not served: {', '.join(sorted(config.closed))}" if config.closed else ""
    remedy = "fynx plugins test {}; without it: remove it from the list"
    raise ConfigError(
        tuple(
            Problem(f"plugin {name!r}: {why}{lost}", path="plugins", remedy=remedy.format(name), file=str(file))
            for name, why in config.left_out.items()
        )
    )


def _summary(file: Path, config: Config) -> dict[str, object]:
    return {
        "file": str(file),
        "ok": True,
        "errors": [],
        "warnings": _facts(config.warnings),
        "name": config.name,
        "plugins": list(config.registry.plugins),
        "peers": [{"name": name, "children": list(peer.children)} for name, peer in config.peers.items()],
    }


def _facts(problems: tuple[Problem, ...]) -> list[dict[str, object]]:
    keys = ("file", "line", "column", "path", "what", "remedy")
    return [{key: getattr(problem, key) for key in keys} for problem in problems]


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
