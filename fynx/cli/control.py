"""``fynx up``, ``down`` and ``status``: what people ask of a running host, over its control socket."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from fynx.cli.options import VARIABLE, config_file, config_option, json_option
from fynx.cli.output import as_json as print_json
from fynx.cli.output import table
from fynx.config.parse import parse
from fynx.config.problems import Problems
from fynx.config.tree import LARGEST, find, plain
from fynx.errors import ConfigError
from fynx.run.client import Control
from fynx.run.failures import NOT_RUNNING, HostError
from fynx.run.files import RunFiles, default_directory

F = TypeVar("F", bound=Callable[..., object])
PARTLY = 7
MOST_SHOWN = 8

name_option = click.option("--name", default="", help="Name of the running host, instead of its configuration file.")


@click.command()
@click.argument("peer")
@click.argument("child", default="")
@config_option
@name_option
@click.option("--timeout", "timeout_s", type=click.FloatRange(0, 3600), default=60.0, show_default=True)
@json_option
def up(peer: str, child: str, config: Path | None, name: str, timeout_s: float, as_json: bool) -> None:
    """Bring PEER up and wait for it: all its children that start by themselves, or the one CHILD."""
    with connect(config, name, timeout_s + 10) as control:
        control.ask("up", peer=peer, child=child, timeout_s=timeout_s)
    if as_json:
        print_json("up", {"peer": peer, "child": child, "up": True})
    else:
        click.echo(f"{peer} is up", err=True)


@click.command()
@click.argument("peer")
@click.argument("child", default="")
@config_option
@name_option
@click.option("--leave-open", is_flag=True, help="Let the traffic go in clear although the peer did not confirm.")
@json_option
def down(peer: str, child: str, config: Path | None, name: str, leave_open: bool, as_json: bool) -> int:
    """Take PEER down, or its one CHILD.

    Exit code 7: it is down, but the peer did not confirm, and its traffic stays blocked.
    """
    with connect(config, name) as control:
        answer = control.ask("down", peer=peer, child=child, leave_open=leave_open)
    confirmed = bool(answer["confirmed"])
    if as_json:
        print_json("down", {"peer": peer, "child": child, "confirmed": confirmed, "left_open": leave_open})
    elif confirmed or leave_open:
        click.echo(f"{peer} is down", err=True)
    else:
        click.echo(f"{peer} is down, but did not confirm: its traffic stays blocked", err=True)
        words = ["fynx", "down", peer, *([child] if child else []), "--leave-open", *_chosen(config, name)]
        click.echo(f"    try: {shlex.join(words)}", err=True)
    return 0 if confirmed or leave_open else PARTLY


@click.command()
@click.argument("peer")
@click.argument("child", default="")
@config_option
@name_option
@json_option
def rekey(peer: str, child: str, config: Path | None, name: str, as_json: bool) -> None:
    """Replace PEER's IKE SA, or its one CHILD, now; no packet is lost."""
    with connect(config, name) as control:
        control.ask("rekey", peer=peer, child=child)
    if as_json:
        print_json("rekey", {"peer": peer, "child": child})
    else:
        click.echo(f"{peer}{' ' + child if child else ''} is being rekeyed", err=True)


@click.command()
@click.argument("peer")
@click.argument("child", default="")
@click.option("--count", default=1, show_default=True, help="How many on each Child SA.")
@click.option("--size", default=64, show_default=True, help="Octets of each.")
@config_option
@name_option
@json_option
def dummies(**given: Any) -> None:
    """Send packets that say nothing to PEER, which drops them unseen (RFC 4303 section 2.6)."""
    with connect(given["config"], given["name"]) as control:
        asked = {key: given[key] for key in ("peer", "child", "count", "size")}
        answer = control.ask("dummies", **asked)
    if given["as_json"]:
        print_json("dummies", {**asked, "sent": answer["sent"]})
    else:
        click.echo(f"{answer['sent']} dummies sent", err=True)


@click.command()
@click.argument("peer", default="")
@config_option
@name_option
@json_option
def status(peer: str, config: Path | None, name: str, as_json: bool) -> None:
    """Show the peers of a running host and their Child SAs."""
    with connect(config, name) as control:
        found: dict[str, Any] = control.ask("status")
    if peer:
        known = [each["name"] for each in found["peers"]]
        found["peers"] = [each for each in found["peers"] if each["name"] == peer]
        if not found["peers"]:
            raise HostError(f"no peer is called {peer!r}; configured: {', '.join(known) or 'none'}")
    if as_json:
        found.pop("schema", None)
        print_json("status", found)
        return
    _show(found)


def _show(found: Mapping[str, Any]) -> None:
    rows = []
    for peer in found["peers"]:
        since = peer["established_s"]
        rows.append([peer["name"], peer["state"], peer["remote"], _age(since), "", "", "", ""])
        for child in peer["children"]:
            net = f"{' '.join(child['local'])} <-> {' '.join(child['remote'])}"
            traffic = [_octets(child["bytes_in"]), _octets(child["bytes_out"])]
            esp = child["esp"] if child["encap"] == "udp" else f"{child['esp']}, no UDP"
            rows.append([f"  {_name_of(child)}", child["state"], net, "", esp, child["provider"], *traffic])
    table(["peer / child", "state", "where", "since", "esp", "provider", "in", "out"], rows)
    plane = found.get("plane", {})
    if plane.get("mode") == "tun":
        click.echo(_offloads(plane))
    closed = [str(network) for network in plane.get("guards", [])]
    if closed and any(not peer["children"] for peer in found["peers"]):
        more = ", …" if len(closed) > MOST_SHOWN else ""
        click.echo(f"kept from leaving in clear: {', '.join(closed[:MOST_SHOWN])}{more}")
    if any(child["encap"] != "udp" for peer in found["peers"] for child in peer["children"]):
        click.echo("ESP without UDP: the kernel sends and receives it packet by packet, several times slower")
    for name, one in found.get("plugins", {}).items():
        where = "everywhere" if one["everywhere"] else "for these peers"
        click.echo(f"plugin {name} is left out {where} ({', '.join(one['peers']) or 'no peer wants it'}): {one['why']}")
    for warning in _warnings(plane):
        click.echo(f"warning: {warning}", err=True)


def _name_of(child: Mapping[str, Any]) -> str:
    return f"{child['name']} (worker {child['resource']})" if child.get("resource") else str(child["name"])


OFFLOADS = {"vnet": "TUN frames", "uso": "of UDP", "gso": "sent in batches", "gro": "received in batches"}
RATES = ("packets_per_read", "packets_per_send", "packets_per_receive", "packets_per_write")


def _offloads(plane: Mapping[str, Any]) -> str:
    """Which offloads work, and how many packets each system call carries: 1.0 tells that one is missing."""
    found, rates = plane.get("offloads", {}), plane.get("rates", {})
    switches = ", ".join(f"{text} {'on' if found.get(name) else 'OFF'}" for name, text in OFFLOADS.items())
    carried = ", ".join(f"{rates[name]:.1f} per {name.rpartition('_')[2]}" for name in RATES if name in rates)
    return f"offloads: {switches}" + (f"; packets: {carried}" if carried else "")


def _warnings(plane: Mapping[str, Any]) -> list[str]:
    found = [f"{suite} runs through Python and is slow" for suite in plane.get("slow") or []]
    firewall = str(plane.get("firewall", "on"))
    found += [firewall] if firewall not in ("on", "off") else []
    return found + ([str(plane["reverse_path"])] if plane.get("reverse_path") else [])


def _age(seconds: float | None) -> str:
    if seconds is None:
        return ""
    whole = int(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h"


def _octets(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def connect(config: Path | None, name: str, timeout_s: float = 70.0) -> Control:
    start = shlex.join(["fynx", "run", *(_chosen(config, "") or (["-c", "FILE"] if name else []))])
    return Control(RunFiles(name or _name(config)).socket, timeout_s, start=f"{start}{_elsewhere()}")


def _chosen(config: Path | None, name: str) -> list[str]:
    """The options that mean the same host again."""
    return ["--name", name] if name else ["-c", str(config)] if config is not None else []


def _elsewhere() -> str:
    """Root's hosts have their sockets where other users do not look."""
    return "; one that root runs answers root alone: sudo fynx …" if os.geteuid() else ""


def _name(config: Path | None) -> str:
    """The name in the configuration; without one at hand, that of the only host that runs."""
    file = config_file(config)
    if config is None and not os.environ.get(VARIABLE) and not file.exists():
        running = sorted(default_directory().glob("*.sock"))
        if len(running) == 1:
            return running[0].stem
        names = ", ".join(each.stem for each in running) or "none"
        raise HostError(f"which host? Running: {names}", NOT_RUNNING, "fynx status --name NAME, or -c FILE")
    return name_in(file)


def name_in(file: Path) -> str:
    """What ``name`` says in a file, its stem when it says nothing. Raises ConfigError; decodes nothing else."""
    problems = Problems(str(file))
    try:
        with file.open("rb") as opened:
            data = opened.read(LARGEST + 1)
    except OSError as error:
        problems.error(f"cannot be read: {error.strerror}", remedy="-c names another file, --name a running host")
        raise ConfigError(problems.errors) from None
    node = find(parse(data, problems), "name")
    written = plain(node) if node is not None else None
    return written if isinstance(written, str) and written else file.stem


__all__ = ["connect", "down", "dummies", "rekey", "status", "up"]
