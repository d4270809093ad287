"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from fynx.config.load import DEFAULT_PLUGINS, boot_listed
from fynx.kernel.loader import boot
from fynx.kernel.registry import Registry

DEFAULT_FILE = Path("/etc/fynx/fynx.yaml")
VARIABLE = "FYNX_CONFIG"
F = TypeVar("F", bound=Callable[..., object])

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
config_option = click.option(
    "-c",
    "--config",
    "config",
    type=click.Path(path_type=Path),
    default=None,
    help=f"Configuration file (default: ${VARIABLE}, then {DEFAULT_FILE}).",
)


def config_file(given: Path | None) -> Path:
    """The file that was named, that the environment names, or the usual one."""
    if given is not None:
        return given
    return Path(os.environ.get(VARIABLE) or DEFAULT_FILE)


def registry(given: Path | None) -> Registry:
    """What the plugins of the configuration register; those of the preset ``default`` when there is no file."""
    file = config_file(given)
    if given is None and not os.access(file, os.R_OK):
        return boot(DEFAULT_PLUGINS)
    return boot_listed(file)
