"""``fynx run``: a host in the foreground, until SIGTERM or SIGINT; one line per event of a tunnel."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import click

from fynx.cli.logs import set_up
from fynx.cli.options import config_file, config_option, plugin_option
from fynx.config import Config, crashing, load
from fynx.errors import FynxError
from fynx.kernel.file import from_file
from fynx.kernel.watch import reach_system_calls
from fynx.run.files import default_directory
from fynx.run.host import Host

log = logging.getLogger("fynx.run")


@click.command()
@config_option
@plugin_option
@click.option("--log", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("-v", "--verbose", is_flag=True, help="Also what is refused and sent again.")
@click.option(
    "--leave-open", is_flag=True, help="At the end, let protected traffic go in clear whatever the peer says."
)
def run(
    config: Path | None, files: tuple[Path, ...], style: Literal["text", "json"], verbose: bool, leave_open: bool
) -> int:
    """Run in the foreground until SIGTERM or Ctrl-C; a second one ends it at once.

    Events go to stdout, everything else to stderr.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold every key
    path, extra = config_file(config), [from_file(file) for file in files]
    loaded = load(path, files=extra, left_out=crashing(path, extra))
    set_up(style, verbose=verbose)
    reach_system_calls()
    for line in _left_out(loaded):
        log.error("%s", line)
    for warning in loaded.warnings:
        log.warning("%s", warning)
    return asyncio.run(_run(loaded, leave_open=leave_open))


def _left_out(config: Config) -> Iterator[str]:
    """Plugins that would have taken us down, and what cannot be served without them."""
    for name, why in config.left_out.items():
        yield f"plugin {name} {why}: it is left out. Look at it: fynx plugins test {name}"
    for peer in sorted(config.closed):
        yield f"peer {peer} is not served: its settings want a plugin that is left out; what it protects stays closed"


async def _run(config: Config, *, leave_open: bool) -> int:
    host = Host(config, config.registry, directory=default_directory())
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    starting = asyncio.ensure_future(host.start())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _asked, host, ended, starting)
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        await starting
    except asyncio.CancelledError:
        return 130
    reloads: set[asyncio.Task[None]] = set()
    loop.add_signal_handler(signal.SIGHUP, lambda: reloads.add(loop.create_task(_reload(host))))
    # What stands now stays: the collector of garbage need not look at it each time, which takes tens of milliseconds.
    gc.collect()
    gc.freeze()
    log.info("%s is running: %s", config.name, _summary(config))
    await ended.wait()
    await host.stop(leave_open=leave_open)
    log.info("%s has stopped", config.name)
    return 0


async def _reload(host: Host) -> None:
    """SIGHUP: a file that cannot be used is told of and changes nothing."""
    try:
        found = await host.reload()
    except FynxError as error:
        log.error("the old configuration stays: %s", error)
        return
    log.info("%s has the new configuration", found["name"])
    if found["needs_restart"]:
        log.warning("takes effect after a restart only: %s", ", ".join(map(str, found["needs_restart"])))


def _asked(host: Host, ended: asyncio.Event, starting: asyncio.Future[None]) -> None:
    """A signal: the first asks for a graceful end, the second for a quick one."""
    if not starting.done():
        starting.cancel()
    elif ended.is_set():
        host.hurry()
    ended.set()


def _summary(config: Config) -> str:
    peers = ", ".join(config.peers) or "no peers"
    return f"transport {config.host.transport.name}, plane {config.host.plane.name}, peers: {peers}"


__all__ = ["run"]
