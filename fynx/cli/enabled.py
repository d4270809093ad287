"""What the plugins that a configuration enables offer, for commands that start nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fynx.cli.options import config_file
from fynx.config.load import DEFAULT_PLUGINS, boot_listed
from fynx.kernel.file import from_file
from fynx.kernel.loader import boot
from fynx.kernel.registry import Registry


def registry(given: Path | None, files: Sequence[Path] = ()) -> Registry:
    """What the plugins of the configuration register; those of the preset ``default`` when there is no file."""
    file, extra = config_file(given), [from_file(each) for each in files]
    if given is None and not os.access(file, os.R_OK):
        return boot(DEFAULT_PLUGINS, files=extra)
    return boot_listed(file, extra)
