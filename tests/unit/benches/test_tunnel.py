"""Cases of the tunnel benchmark are read, planned and compared as its pages say; what is up is not judged here."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from benches import __main__ as program
from benches.lab import BenchError, Host, number
from benches.packages import mirror
from benches.result import Result
from benches.tunnel import SYSTEMS, Case, Run, pairs, plan, tell
from benches.tunnels.base import Tunnel, Variant
from benches.tunnels.fynx import OVERHEAD


def test_a_bare_case_is_ipv4_aes_128_gcm_whole_frames_and_one_sa() -> None:
    assert Case.parse("tcp1").variant == Variant("aes128gcm16", 4, segmented=False, sas=1)


def test_suffixes_of_a_case_combine() -> None:
    assert Case.parse("udp64-ipv6-sas100").variant == Variant(family=6, sas=100)


@pytest.mark.parametrize("name", ["tcp2", "tcp1-ipv5", ""])
def test_an_unknown_word_in_a_case_is_named(name: str) -> None:
    with pytest.raises(BenchError, match="no case"):
        Case.parse(name)


def test_an_unknown_system_ends_the_program_with_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["tunnel", "--system", "carrier-pigeon"]) == 1
    assert "carrier-pigeon" in capsys.readouterr().err


def test_a_case_with_suffixes_brings_the_bare_one_to_compare() -> None:
    assert [(case.name, system) for case, system in plan(["tcp1-ipv6"], ["fynx"])] == [
        ("tcp1", "fynx"),
        ("tcp1-ipv6", "fynx"),
    ]


def test_ratios_are_named_by_case_and_peer_with_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SYSTEMS["strongswan"], "version", "5.9.8")
    run = Run(plan(["tcp1", "tcp1-ipv6"], ["fynx", "strongswan", "null", "bare"]), 1.0)
    for case, system in run.plan:
        run.tunnels[case.variant, system] = SYSTEMS[system](case.variant)
        run.rates[case.name, system] = [2.0]
        run.costs[case.name, system] = [1.0] if system == "strongswan" else []
    run.costs["tcp1", "fynx"] = [0.5]
    names = [name for name, *_ in pairs(run)]
    assert {"tcp1/fynx/strongswan-5.9.8", "tcp1/null/bare", "tcp1-ipv6/fynx/tcp1", "tcp1-ipv6/fynx/null"} <= set(names)
    result = Result("tunnel")
    monkeypatch.setattr("benches.tunnel.pairs", lambda _: iter(()))
    tell(result, run)
    assert ("tcp1", "strongswan", "5.9.8", "Mbit/s") in {(r.case, r.system, r.version, r.unit) for r in result.rows}


def test_namespaces_and_devices_of_all_variants_have_names_of_their_own() -> None:
    kinds: list[type[Tunnel]] = [
        kind for name, kind in SYSTEMS.items() if not name.startswith(("wire", "strong", "open"))
    ]
    variants = [Variant(), Variant(family=6), Variant(segmented=True), Variant(sas=100), Variant(sas=10000)]
    names = [kind(variant).link.name for kind in kinds for variant in variants]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("version", "upstream"), [("5.9.8-5+deb12u6", "5.9.8"), ("1:2.6.14-0+deb12u2", "2.6.14")])
def test_versions_are_those_of_upstream(version: str, upstream: str) -> None:
    assert number(version) == upstream


def test_the_mirror_is_the_machines_own_and_not_that_of_security(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text(
        "Types: deb\nURIs: http://mirror.example/debian-security\n\nTypes: deb\nURIs: http://mirror.example/debian\n"
    )
    assert mirror(tmp_path) == "http://mirror.example/debian"


def test_the_mirror_may_stand_in_a_file_of_the_older_form(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb [arch=amd64] http://mirror.example/debian bookworm main\n")
    assert mirror(tmp_path) == "http://mirror.example/debian"


def test_without_a_mirror_the_error_says_what_cannot_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="cannot be fetched"):
        mirror(tmp_path)


@pytest.mark.parametrize(("family", "address"), [(4, "192.0.2.1"), (6, "2001:db8::1")])
def test_a_full_inner_packet_fits_the_outer_mtu(family: int, address: str) -> None:
    host = Host("left", "ns", "192.0.2.1", "2001:db8::1", "198.51.100.1", "fd00:1::1")
    assert host.address(family, outside=True) == address
    assert socket.inet_pton(socket.AF_INET if family == 4 else socket.AF_INET6, address)
    inner = 1500 - OVERHEAD[family]
    sealed = 8 + 8 + (inner + 2 + 3) // 4 * 4 + 16
    assert (20 if family == 4 else 40) + 8 + sealed <= 1500
