"""``fynx psk gen``: pre-shared keys from the system's randomness."""

from __future__ import annotations

import base64
import secrets

import click

from fynx.cli.options import json_option
from fynx.cli.output import as_json as print_json

LEAST, MOST = 20, 256


@click.group()
def psk() -> None:
    """Pre-shared keys."""


@psk.command()
@click.option("--octets", type=click.IntRange(LEAST, MOST), default=32, show_default=True, help="Octets of randomness.")
@click.option(
    "--format",
    "notation",
    type=click.Choice(["text", "hex", "base64"]),
    default="text",
    show_default=True,
    help="text: a line that every IPsec program takes as it is; hex: 0x…; base64: 0s….",
)
@json_option
def gen(octets: int, notation: str, as_json: bool) -> None:
    """Print a new pre-shared key, and nothing else: (umask 077; fynx psk gen > secrets/hq.psk)"""
    secret = generate(octets, notation)
    if as_json:
        print_json("psk", {"secret": secret, "octets": octets, "format": notation})
        return
    click.echo(secret)


def generate(octets: int = 32, notation: str = "text") -> str:
    """A new key. Text never begins with 0x or 0s, which swanctl and Fynx would read as a notation."""
    if notation == "hex":
        return "0x" + secrets.token_hex(octets)
    if notation == "base64":
        return "0s" + base64.b64encode(secrets.token_bytes(octets)).decode()
    while True:
        text = secrets.token_urlsafe(octets)
        if text[:2] not in ("0x", "0s") and text[0].isalnum():
            return text
