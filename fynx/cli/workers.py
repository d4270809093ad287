"""``fynx workers``: the threads of a running host's data plane one by one, and their restart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from fynx.cli.control import connect, name_option
from fynx.cli.options import config_option, json_option
from fynx.cli.output import as_json as print_json
from fynx.cli.output import table

COLUMNS = ("worker", "state", "cpu", "queue", "packets", "per call", "wake-ups", "waiting", "restarts", "drops")
PER_CALL = {"out": ("packets_per_read", "packets_per_send"), "in": ("packets_per_receive", "packets_per_write")}


@click.group(invoke_without_command=True)
@config_option
@name_option
@json_option
@click.pass_context
def workers(context: click.Context, config: Path | None, name: str, as_json: bool) -> None:
    """Show each thread of the data plane, or `restart` one worker."""
    if context.invoked_subcommand is not None:
        return
    with connect(config, name) as control:
        found: list[dict[str, Any]] = control.ask("status")["plane"].get("workers", [])
    if as_json:
        print_json("workers", {"workers": found})
    else:
        table(COLUMNS, [_row(each) for each in found])


@workers.command()
@click.argument("number", type=click.IntRange(1, 15))
@config_option
@name_option
@json_option
def restart(number: int, config: Path | None, name: str, as_json: bool) -> None:
    """End the threads of worker NUMBER behind the packets in hand, and begin them anew; the others go on."""
    with connect(config, name) as control:
        control.ask("restart_worker", number=number)
    if as_json:
        print_json("restart", {"worker": number})
    else:
        click.echo(f"worker {number} was restarted", err=True)


def _row(each: Mapping[str, Any]) -> list[str]:
    direction, counters, rates = each["direction"], each["counters"], each["rates"]
    per_call = " / ".join(f"{rates[name]:.1f}" for name in PER_CALL[direction] if name in rates)
    drops = ", ".join(f"{name} {count}" for name, count in each["drops"].items())
    cells = [
        f"{each['worker']} {direction}",
        each["state"],
        each["cpu"],
        each["queue"],
        counters.get(f"packets_{direction}", 0),
        per_call,
        each["wakeups"],
        sum(each["waiting"].values()),
        each["restarts"],
        drops,
    ]
    return ["" if cell is None else str(cell) for cell in cells]


__all__ = ["workers"]
