"""What the plugins that a configuration enables offer, for commands that start nothing."""

from __future__ import annotations

import os
from pathlib import Path

from fynx.cli.options import config_file
from fynx.config.load import DEFAULT_PLUGINS, boot_listed
from fynx.kernel.loader import boot
from fynx.kernel.registry import Registry


def registry(given: Path | None) -> Registry:
    """What the plugins of the configuration register; those of the preset ``default`` when there is no file."""
    file = config_file(given)
    if given is None and not os.access(file, os.R_OK):
        return boot(DEFAULT_PLUGINS)
    return boot_listed(file)
