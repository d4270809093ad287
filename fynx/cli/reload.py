"""``fynx reload`` and ``fynx plan``: a changed configuration, told beforehand and applied without touching the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from fynx.cli.control import PARTLY, connect, name_option
from fynx.cli.options import config_option, json_option
from fynx.cli.output import as_json as print_json
from fynx.cli.output import table

WAIT_S = 130.0
"""The host reads the file, boots nothing, and asks DNS."""

_WORDS = {
    "stay": "stays",
    "rekey": "is rekeyed, no packet is lost",
    "remake": "is made anew",
    "drop": "is deleted",
    "add": "is new",
}


@click.command()
@config_option
@name_option
@click.option("--diff", "diff", is_flag=True, help="Say first what changes.")
@json_option
def reload(config: Path | None, name: str, diff: bool, as_json: bool) -> int:
    """Apply a changed configuration to the running host: only what differs is touched.

    A file that cannot be used changes nothing (exit code 5). Exit code 7: applied, but for keys that need a restart.
    """
    file = _absolute(config)
    with connect(config, name, WAIT_S) as control:
        if diff and not as_json:
            _show(control.ask("plan", file=file))
        found: dict[str, Any] = control.ask("reload", file=file)
    if as_json:
        _print(found)
    else:
        click.echo(f"{found['name']} has the new configuration", err=True)
    return _restart_wanted(found, quiet=as_json)


@click.command()
@config_option
@name_option
@json_option
def plan(config: Path | None, name: str, as_json: bool) -> None:
    """Say which SAs of the running host would stay, be rekeyed or go with the configuration as it is written now."""
    with connect(config, name, WAIT_S) as control:
        found: dict[str, Any] = control.ask("plan", file=_absolute(config))
    if as_json:
        _print(found)
        return
    _show(found)
    _restart_wanted(found, quiet=False)


def _absolute(config: Path | None) -> str:
    """The host may run in another directory; empty: the file that it was started with."""
    return "" if config is None else str(config.absolute())


def _print(found: Mapping[str, Any]) -> None:
    print_json("plan", {key: value for key, value in found.items() if key != "schema"})


def _show(found: Mapping[str, Any]) -> None:
    table(["peer / child", "up", "what happens", "because of"], list(_rows(found)))
    if found["policies_change"]:
        click.echo("policies: replaced")
    for key in found["changed"]:
        click.echo(f"{key}: changed")


def _rows(found: Mapping[str, Any]) -> Iterator[list[str]]:
    for peer in found["peers"]:
        yield [peer["name"], _yes(peer["up"]), _WORDS[peer["outcome"]], ", ".join(peer["changed"])]
        for child in peer["children"]:
            words = _WORDS[child["outcome"]] + (", and comes up" if child["starts"] else "")
            yield [f"  {child['name']}", _yes(child["up"]), words, ", ".join(child["changed"])]


def _yes(up: bool) -> str:
    return "up" if up else ""


def _restart_wanted(found: Mapping[str, Any], *, quiet: bool) -> int:
    keys = ", ".join(found["needs_restart"])
    if not keys:
        return 0
    if not quiet:
        click.echo(f"warning: takes effect after a restart only: {keys}", err=True)
    return PARTLY


__all__ = ["plan", "reload"]
