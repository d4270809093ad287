"""Our transcription of the registry against the reference folder's file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from fynx.wire import encap, header, iana, payload
from tests.unit.wire.registry import REGISTRY

ROOT = Path(__file__).resolve().parents[4]
FILE = Path(os.environ.get("FYNX_REFERENCE") or ROOT.parent / "shared") / "iana" / "ikev2.yaml"


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    loaded = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def test_the_transcription_holds_every_entry(reference: dict[str, Any]) -> None:
    found = {
        key: {entry["value"]: entry["name"] for entry in registry["entries"]}
        for key, registry in reference["registries"].items()
    }

    assert found == REGISTRY


def test_the_wire_constants_are_those_of_the_file(reference: dict[str, Any]) -> None:
    constants = reference["constants"]

    assert constants["header"]["length"] == header.HEADER_LEN
    assert int(constants["header"]["flag_initiator"], 16) == header.FLAG_INITIATOR
    assert int(constants["header"]["flag_version"], 16) == header.FLAG_VERSION
    assert int(constants["header"]["flag_response"], 16) == header.FLAG_RESPONSE
    assert constants["nonce_octets"]["min"] == payload.NONCE_MIN
    assert constants["nonce_octets"]["max"] == payload.NONCE_MAX
    assert constants["transform_attribute"]["key_length"] == iana.KEY_LENGTH
    assert constants["non_esp_marker"].startswith(encap.MARKER.hex())
    assert constants["nat_keepalive"] == f"one octet {encap.KEEPALIVE.hex()} (RFC 3948 2.3)"
