"""Our captures opened by others with our key file: tshark (AES-GCM, AES-CBC) and scapy (ChaCha20-Poly1305)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lab import shark
from lab.charon import Refused
from lab.pair import ROLES, Pair
from lab.plan import Plan
from lab.topology import inner

SUITES = {
    "aes128gcm16": ("aes128gcm16-prfsha256-x25519", "aes128gcm16"),
    "aes256gcm16": ("aes256gcm16-prfsha384-x25519", "aes256gcm16"),
    "aes128-sha256": ("aes128-sha256-prfsha256-x25519", "aes128-sha256"),
    "aes256-sha512": ("aes256-sha512-prfsha512-x25519", "aes256-sha512"),
}
LEFT, RIGHT = inner(0), inner(1)
OPENED = "isakmp.exchangetype == 35 || (isakmp.exchangetype == 37 && isakmp.delete.protoid) || icmp"
"""What cannot be told without the keys."""


def _plan(suite: str) -> Plan:
    ike, esp = SUITES[suite]
    return replace(Plan(), ike=(ike,)).with_esp(esp)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("suite", SUITES)
def test_tshark_opens_ike_and_esp_with_our_key_file(
    pair: Callable[..., Pair], tmp_path: Path, role: str, suite: str
) -> None:
    keys = tmp_path / "keys"
    both = pair(*ROLES[role], plans=[_plan(suite)], fynx={"keylog": str(keys)})
    with both.capture() as capture:
        both.left.up(both.plan)
        both.both_have()
        assert both.ping() == 3
        both.left.down(both.plan)
        both.both_lost()
    pcap = capture.write(tmp_path / "outside.pcap")
    assert shark.octets(LEFT, RIGHT) not in capture.octets, "an inner header in clear"
    rows = shark.fields(pcap, keys, OPENED, "isakmp.id.data.fqdn", "isakmp.delete.protoid", "ip.src", "esp.sequence")
    request, response = rows[0][0], rows[1][0]
    assert "left.test" in request
    assert response == "right.test"
    echoes = [row for row in rows if row[3]]
    assert [inside.split(",")[-1] for _, _, inside, _ in echoes] == [LEFT, RIGHT] * 3
    assert [deleted for _, deleted, _, _ in rows if deleted] == ["1"], "the DELETE of the IKE SA is readable"


@pytest.mark.parametrize("role", ROLES)
def test_tshark_reads_authentication_failed_with_our_key_file(
    pair: Callable[..., Pair], tmp_path: Path, role: str
) -> None:
    keys = tmp_path / "keys"
    other = replace(Plan(), secret="another-secret-of-32-octets-long")
    both = pair(*ROLES[role], fynx={"keylog": str(keys)}, right_plans=[other])
    with both.capture() as capture, pytest.raises(Refused):
        both.left.up(both.plan)
    pcap = capture.write(tmp_path / "outside.pcap")
    notifies = shark.fields(pcap, keys, "isakmp.exchangetype == 35 && isakmp.flag_r == 1", "isakmp.notify.msgtype")
    assert notifies == [("24",)]


@pytest.mark.parametrize("role", ROLES)
def test_scapy_opens_chacha20poly1305_with_our_key_file(pair: Callable[..., Pair], tmp_path: Path, role: str) -> None:
    keys = tmp_path / "keys"
    plan = Plan().with_esp("chacha20poly1305")
    both = pair(*ROLES[role], plans=[plan], fynx={"keylog": str(keys)})
    with both.capture() as capture:
        both.left.up(plan)
        both.both_have()
        assert both.ping() == 3
    by_spi = {key.spi: key for key in shark.esp_keys(keys)}
    opened = [shark.open_chacha20(by_spi[int.from_bytes(packet[:4])], packet) for packet in capture.esp()]
    assert [(source, target) for source, target, _ in opened] == [(LEFT, RIGHT), (RIGHT, LEFT)] * 3
    assert all(echo[4:] == answer[4:] for (_, _, echo), (_, _, answer) in zip(opened[::2], opened[1::2], strict=True))
