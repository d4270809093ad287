"""``fynx logs`` and ``fynx events``: what a running host says, and how much of it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fynx.cli.control import connect, name_option
from fynx.cli.options import config_option, json_option
from fynx.cli.output import as_json as print_json
from fynx.cli.output import table
from fynx.logs import clean


@click.command()
@click.argument("levels", nargs=-1, metavar="[SUBSYSTEM=LEVEL]...")
@config_option
@name_option
@json_option
def logs(levels: tuple[str, ...], config: Path | None, name: str, as_json: bool) -> None:
    """Show the log levels of a running host, after setting those given: ``fynx logs ike=debug esp=error``.

    ``all=LEVEL`` sets every subsystem. Levels: trace, debug, info, warning, error. They hold until the host ends.
    """
    wanted = dict(_pair(each) for each in levels)
    with connect(config, name) as control:
        found: dict[str, str] = control.ask("logs", levels=wanted)["levels"]
    if as_json:
        print_json("logs", {"levels": found})
    else:
        table(["subsystem", "level"], [[subsystem, level] for subsystem, level in found.items()])


@click.command()
@click.argument("peer", default="")
@config_option
@name_option
@json_option
def events(peer: str, config: Path | None, name: str, as_json: bool) -> None:
    """Follow the events of a running host, of PEER alone if one is named, until interrupted."""
    with connect(config, name) as control:
        for event in control.events():
            if peer and event.get("peer") != peer:
                continue
            if as_json:
                click.echo(json.dumps(event))
            elif event.get("text"):
                click.echo(f"{event['time']} {clean(str(event['text']))}")


def _pair(text: str) -> tuple[str, str]:
    subsystem, mark, level = text.partition("=")
    if not mark or not subsystem or not level:
        raise click.UsageError(f"{text!r} is not SUBSYSTEM=LEVEL: write all=debug, or ike=debug")
    return subsystem, level
