"""Our captures opened by others with our key file: tshark (AES-GCM, AES-CBC) and scapy (ChaCha20-Poly1305)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from lab import shark
from lab.charon import Refused
from lab.pair import ROLES, Pair, Settings, running
from lab.plan import Plan, networks, numbered
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


PLANS = {
    suite: numbered(number, ike=ike, esp=esp) for number, (suite, (ike, esp)) in enumerate(SUITES.items(), start=1)
}


@dataclass(frozen=True, slots=True)
class Gateway:
    both: Pair
    keys: Path


@pytest.fixture(scope="module", params=ROLES)
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("capture")
    settings = Settings(plans=list(PLANS.values()), fynx={"keylog": str(folder / "keys")})
    with running("direct", folder, ROLES[request.param], settings) as both:
        yield Gateway(both, folder / "keys")


@pytest.mark.parametrize("suite", SUITES)
def test_tshark_opens_ike_and_esp_with_our_key_file(gateway: Gateway, tmp_path: Path, suite: str) -> None:
    both, plan = gateway.both, PLANS[suite]
    left, right = (networks(plan.children[0], side)[0].removesuffix("/32") for side in (0, 1))
    with both.capture() as capture:
        both.left.up(plan)
        both.both_have(plan)
        assert both.ping(plan.children[0]) == 3
        both.left.down(plan)
        both.both_lost(plan)
    pcap = capture.write(tmp_path / "outside.pcap")
    assert shark.octets(left, right) not in capture.octets, "an inner header in clear"
    columns = ("isakmp.id.data.fqdn", "isakmp.delete.protoid", "ip.src", "esp.sequence")
    rows = shark.fields(pcap, gateway.keys, OPENED, *columns)
    assert plan.left_id in rows[0][0].split(",")
    assert rows[1][0] == plan.right_id
    assert [inside.split(",")[-1] for _, _, inside, sequence in rows if sequence] == [left, right] * 3
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
