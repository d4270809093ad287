"""Where the reference folder is at hand: what was transcribed from it is what stands there."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.unit.ike.captured import AES_CBC_256, AES_GCM_256, WRONG_ICV, Captured

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = Path(os.environ.get("FYNX_REFERENCE", ROOT.parent / "shared"))
SOURCES: dict[str, Captured] = {
    "ikev2-decrypt-aes256gcm16.pcap": AES_GCM_256,
    "ikev2-decrypt-aes256cbc.pcapng": AES_CBC_256,
    "tcpdump-ikev2pI2.pcap": WRONG_ICV,
}

if (REFERENCE / "vectors").is_dir():

    def test_the_key_schedule_is_the_reference() -> None:
        ours = json.loads((Path(__file__).parent / "key_schedule.json").read_text())["tests"]
        theirs = json.loads((REFERENCE / "vectors/rfc/ikev2-key-schedule.json").read_text())["tests"]
        assert [{key: theirs[index][key] for key in one} for index, one in enumerate(ours)] == ours
        assert len(ours) == len(theirs)

    def test_the_captured_messages_stand_in_the_captures() -> None:
        for name, captured in SOURCES.items():
            octets = (REFERENCE / "captures" / name).read_bytes()
            assert all(message in octets for message in captured.protected()), name
