"""``fynx demo``: builds a tunnel between two programs on this machine and proves it."""

from __future__ import annotations

import sys

import click

from fynx.demo import modes


@click.command()
@click.option(
    "--peer",
    type=click.Choice(["fynx", "strongswan"]),
    default="fynx",
    help="Who stands at the other end.",
    show_default=True,
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with the same facts.")
def demo(peer: str, as_json: bool) -> None:
    """An encrypted tunnel on this machine, with proof: no configuration, nothing left behind.

    Two programs in two network namespaces (as root or in a user namespace), or over loopback where neither is
    allowed. Capture and keys stay in build/demo. Ends with PASS, or with what failed and exit code 1.
    """
    choice = modes.choose()
    if peer == "strongswan" and choice.mode == "loopback":
        raise click.ClickException(f"strongSwan needs namespaces of its own: {choice.why}")
    sys.exit(modes.run(choice, [peer, "json" if as_json else "text"]))
