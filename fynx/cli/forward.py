"""``fynx forward``: a tunnel without root, and local ports that lead into it, as ``ssh -N -L -D`` has them."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from fynx.cli.logs import set_up
from fynx.cli.options import config_file, config_option
from fynx.config import Config, load
from fynx.config.model import Choice
from fynx.errors import ConfigError, Problem
from fynx.run.host import Host

log = logging.getLogger("fynx.run")

LOOPBACK = "127.0.0.1"
Place = tuple[str, int]


class Listen(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2
    """``[HOST:]PORT``; without a host this machine alone."""

    name = "[HOST:]PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        if isinstance(value, tuple):
            return value
        host, _, port = str(value).rpartition(":")
        if not port.isdecimal() or int(port) > 65535:
            self.fail(f"{value!r} has no port at its end", param, ctx)
        return host.strip("[]") or LOOPBACK, int(port)


class Lead(click.ParamType):  # type: ignore[type-arg]
    """``[HOST:]PORT:TARGET:PORT``, addresses of IPv6 in brackets."""

    name = "[HOST:]PORT:TARGET:PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Place, Place]:
        parts = _parts(str(value))
        if len(parts) not in (3, 4) or not parts[-1].isdecimal() or not parts[-3].isdecimal():
            self.fail(f"{value!r} is no forwarding: write 8080:198.51.100.7:80", param, ctx)
        if max(int(parts[-1]), int(parts[-3])) > 65535:
            self.fail(f"{value!r} has a port above 65535", param, ctx)
        host = parts[0] if len(parts) == 4 else LOOPBACK
        return (host, int(parts[-3])), (parts[-2], int(parts[-1]))


@dataclass(frozen=True, slots=True)
class Order:
    """What the command line asks for."""

    leads: tuple[tuple[Place, Place], ...]
    socks: tuple[Place, ...]
    addresses: tuple[str, ...]
    timeout_s: float


@click.command()
@config_option
@click.option("-L", "--lead", "leads", type=Lead(), multiple=True, help="A local port that leads to one place.")
@click.option("--socks", type=Listen(), multiple=True, help="A local SOCKS5 proxy.")
@click.option("--peer", help="Whose tunnel; needed where the configuration has several.")
@click.option("--address", "addresses", multiple=True, help="Our inner address, where our side is a whole network.")
@click.option("--timeout", "timeout_s", type=float, default=30.0, show_default=True, help="To come up, in seconds.")
@click.option("-v", "--verbose", is_flag=True)
def forward(config: Path | None, peer: str | None, verbose: bool, **order: Any) -> int:
    """Bring a tunnel up and forward local ports into it, until SIGTERM or Ctrl-C. Needs no root.

    Takes the configuration of ``fynx run``; its data plane and its ports are not used. Whoever reaches the local
    ports may use them. Names are looked up by the system, outside the tunnel.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold every key
    wanted = Order(**order)
    if not wanted.leads and not wanted.socks:
        raise click.UsageError("nothing to forward: give -L or --socks")
    loaded = load(config_file(config))
    set_up("text", verbose=verbose)
    chosen = _peer(loaded, peer)
    return asyncio.run(_forward(rootless(loaded, chosen), chosen, wanted))


def rootless(config: Config, peer: str) -> Config:
    """The same peer on ports and a data plane that need no privilege."""
    sections = config.registry.sections
    if "host.plane.inproc" not in sections:
        raise ConfigError((Problem("forwarding needs the plugin inproc", path="plugins", remedy="add it"),))
    transport = config.host.transport
    if transport.name == "udp" and transport.section is not None:
        transport = Choice("udp", replace(transport.section, ports=(0,)))  # type: ignore[type-var]
    plane = Choice("inproc", sections["host.plane.inproc"]())
    host = replace(config.host, transport=transport, plane=plane)
    return replace(config, host=host, peers={peer: replace(config.peers[peer], start="none")})


def _peer(config: Config, name: str | None) -> str:
    names = [name] if name is not None else list(config.peers)
    if len(names) != 1 or names[0] not in config.peers:
        raise click.UsageError(f"name one peer with --peer: {', '.join(config.peers)}")
    return names[0]


async def _forward(config: Config, peer: str, order: Order) -> int:
    from fynx.api.door import Gateway

    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    host = Host(config, config.registry)
    await host.start()
    gateway = Gateway(host)
    opened = []
    try:
        if not await _up(gateway, peer, order, ended):
            return 130
        for listen, target in order.leads:
            opened.append(await gateway.forward(listen, target))
            click.echo(f"{_written(opened[-1].address)} leads to {_written(target)}")
        for listen in order.socks:
            opened.append(await gateway.socks(listen))
            click.echo(f"{_written(opened[-1].address)} is a SOCKS5 proxy into {peer}")
        await ended.wait()
    finally:
        for each in opened:
            await each.close()
        await gateway.shutdown()
    return 0


async def _up(gateway: Any, peer: str, order: Order, ended: asyncio.Event) -> bool:
    """False when a signal came first."""
    coming = asyncio.ensure_future(gateway.up(peer, timeout_s=order.timeout_s))
    stopping = asyncio.ensure_future(ended.wait())
    try:
        await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not coming.done():
            return False
        await coming
    finally:
        for each in (coming, stopping):
            each.cancel()
    gateway.attach(*order.addresses)
    return True


def _parts(text: str) -> list[str]:
    """Between colons outside brackets."""
    found, inside = [""], False
    for letter in text:
        if letter in "[]":
            inside = letter == "["
        elif letter == ":" and not inside:
            found.append("")
        else:
            found[-1] += letter
    return found


def _written(place: Place) -> str:
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


__all__ = ["forward", "rootless"]
