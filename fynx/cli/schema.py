"""``fynx schema``: the JSON schema of the configuration, with the sections of the enabled plugins."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fynx.cli.enabled import registry
from fynx.cli.options import config_option
from fynx.config.schema import json_schema


@click.command()
@config_option
def schema(config: Path | None) -> None:
    """Print the JSON schema of fynx.yaml, for editors: fynx schema > fynx.schema.json

    Then begin fynx.yaml with: # yaml-language-server: $schema=fynx.schema.json
    """
    click.echo(json.dumps(json_schema(registry(config)), indent=2, ensure_ascii=False))
