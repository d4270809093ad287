"""The key log is in the words of Wireshark's tables, appended to a file that only its owner reads."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

import fynx_plugins.keylog as keylog
from fynx.plugin import EspKeyRecord, IkeKeyRecord

IKE = IkeKeyRecord(b"i" * 8, b"r" * 8, b"\1\2", b"\3\4", b"", b"", 20, 256, 0)
ESP = EspKeyRecord("192.0.2.1", "192.0.2.2", 0x1234, 12, 128, 12, b"\5\6", b"\7\x08")


def test_an_ike_sa_is_a_row_of_ikev2_decryption_table() -> None:
    ids = f"{(b'i' * 8).hex()},{(b'r' * 8).hex()}"
    assert keylog.ike_line(IKE) == (
        f'uat:ikev2_decryption_table:{ids},0102,0304,"AES-GCM-256 with 16 octet ICV [RFC5282]",,,"NONE [RFC4306]"'
    )


def test_a_direction_of_a_child_is_a_row_of_esp_sa() -> None:
    ends = '"IPv4","192.0.2.1","192.0.2.2","0x00001234"'
    assert keylog.esp_line(ESP) == (
        f'uat:esp_sa:{ends},"AES-CBC [RFC3602]","0x0506","HMAC-SHA-256-128 [RFC4868]","0x0708"'
    )


def test_a_cipher_that_wireshark_does_not_know_becomes_a_comment() -> None:
    record = EspKeyRecord("2001:db8::1", "2001:db8::2", 1, 28, 256, 0, b"k", b"")
    assert keylog.esp_line(record).startswith("# ")


def test_the_file_is_private_and_grows_by_lines(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    keylog.fynx_keylog(IKE, str(path))
    keylog.fynx_keylog(ESP, str(path))
    assert path.read_text().splitlines() == [keylog.ike_line(IKE), keylog.esp_line(ESP)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"symbolic|loop|levels"):
        keylog.fynx_keylog(IKE, str(tmp_path / "link"))
    assert not (tmp_path / "elsewhere").exists()
