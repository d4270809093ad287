"""The build hook of hatchling: compiles the C before a wheel is packed, and gives the wheel its platform's tag."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  hatchling's signature
        sys.path.insert(0, self.root)
        from build_ffi import build

        build(Path(self.root))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
