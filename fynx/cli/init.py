"""``fynx init``: a commented configuration, and the matching ``swanctl.conf`` with the same fresh secret."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

from fynx.cli import example
from fynx.cli.psk import generate
from fynx.config.address import remote_network, selector
from fynx.config.decode import NAME
from fynx.run.failures import HostError
from fynx.wire.identity import parse_identity


def _checked(check: Callable[[str], object]) -> Callable[[click.Context, click.Parameter, str], str]:
    """An option's value that the loader would accept too; click reports anything else as a usage error."""

    def callback(_context: click.Context, _option: click.Parameter, value: str) -> str:
        try:
            check(value)
        except ValueError as error:
            remedy = getattr(error, "remedy", "")
            raise click.BadParameter(f"{error}{'; ' + remedy if remedy else ''}") from None
        return value

    return callback


def _address(text: str) -> None:
    if text != "any":
        remote_network(text)


def _name(text: str) -> None:
    if not NAME.fullmatch(text):
        raise ValueError("letters, digits and _ . @ - only, at most 64")


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("fynx.yaml"), show_default=True)
@click.option(
    "--swanctl",
    type=click.Path(path_type=Path),
    default=Path("swanctl.conf"),
    show_default=True,
    help="Configuration of the other side for strongSwan.",
)
@click.option("--peer", default="hq", show_default=True, callback=_checked(_name), help="Name of the peer.")
@click.option(
    "--remote-address",
    default="vpn.example.net",
    show_default=True,
    callback=_checked(_address),
    help="Where the peer is: an address, a DNS name, or any.",
)
@click.option("--remote-id", default="hq.example.net", show_default=True, callback=_checked(parse_identity))
@click.option("--local-id", default="branch.example.net", show_default=True, callback=_checked(parse_identity))
@click.option("--remote-net", default="10.0.0.0/16", show_default=True, callback=_checked(selector))
@click.option("--local-net", default="10.1.0.0/16", show_default=True, callback=_checked(selector))
@click.option("--plane", type=click.Choice(["tun", "inproc"]), default="tun", show_default=True)
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
def init(output: Path, swanctl: Path, force: bool, **facts: str) -> None:
    """Write a commented fynx.yaml (mode 0600, with a fresh pre-shared key) and the swanctl.conf that matches it.

    Asks nothing; the flags fill in the example. Existing files are left alone unless --force is given.
    """
    site = example.Site(**facts, secret=generate())
    present = [path for path in (output, swanctl) if path.exists()]
    if present and not force:
        remedy = "other names (-o FILE --swanctl FILE), or --force to overwrite"
        raise HostError(f"{present[0]} exists", remedy=remedy)
    for path, text in ((output, example.fynx_yaml(site)), (swanctl, example.swanctl_conf(site))):
        _write(path, text)
        click.echo(f"{path}", err=False)
    click.echo(f"next: fynx check {output}; copy {swanctl} to the other side; fynx run -c {output}", err=True)


def _write(path: Path, text: str) -> None:
    """Replaces the file in one step; it is never readable by others, not even for a moment."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)
