"""The tests of whole files read the reference folder and are not collected where it is absent."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = Path(os.environ.get("FYNX_REFERENCE") or ROOT.parent / "shared")

collect_ignore = [] if (REFERENCE / "captures" / "captures.yaml").is_file() else ["test_capture_files.py"]
