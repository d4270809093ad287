"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path

import click

DEFAULT_FILE = Path("/etc/fynx/fynx.yaml")
VARIABLE = "FYNX_CONFIG"

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
plugin_option = click.option(
    "-p",
    "--plugin",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Also load the plugin in this file, which nobody else may be able to write. May be repeated.",
)
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
