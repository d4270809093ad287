"""Boot: only what is listed is imported, what it registers is frozen, and two boots share nothing."""

from __future__ import annotations

import re
import sys
from collections.abc import MutableMapping
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any, cast

import pytest

import fynx.plugin
from fynx.kernel import abi, loader
from fynx.kernel.loader import boot
from tests.unit.kernel.site import HEAD, Site

ROOT = Path(__file__).resolve().parents[3]

EVERYTHING = (
    HEAD
    + """
import click
from dataclasses import dataclass
from types import SimpleNamespace

seen = []

def mac(key, data): return b""
def start(random): return None
def answer(peer, random): return b"", b""

@dataclass(frozen=True)
class Settings:
    level: int = 1

@hookimpl
def fynx_ciphers(): return [Cipher("acme128", 9001, 128, 4, 8, 16, 1, True, lambda raw: None)]
@hookimpl
def fynx_prfs(): return [Prf("prfacme", 9002, 32, 32, mac)]
@hookimpl
def fynx_integs(): return [Integ("acmemac", 9003, 32, 16, mac)]
@hookimpl
def fynx_key_exchanges(): return [KeyExchange("acmedh", 9004, 32, 32, start, answer)]
@hookimpl
def fynx_providers(): return [Provider("acmelib", "7", lambda encr, bits, integ: 0)]
@hookimpl
def fynx_auth_methods(): return [SimpleNamespace(name="acmeauth", method_ids=(201,), sign=mac, verify=mac)]
@hookimpl
def fynx_transports(): return [SimpleNamespace(name="acmewire", open=mac)]
@hookimpl
def fynx_dataplanes(): return [SimpleNamespace(name="acmeplane", open=mac)]
@hookimpl
def fynx_stores(): return (SimpleNamespace(name="acmestore", open=mac),)
@hookimpl
def fynx_extensions():
    return [Extension("acmeext", (ExchangeSpec(240, "ACME"),), (TaskSpec("acme", 240, 100, lambda sa, options: None),))]
@hookimpl
def fynx_sections(): return [Section("acme", Settings)]
@hookimpl
def fynx_commands(): return [Command("acme-hello", click.Command("acme-hello"))]
@hookimpl
def fynx_services(): return [SimpleNamespace(name="acmeservice", run=mac)]
@hookimpl
def fynx_event(event): seen.append(event)
@hookimpl
def fynx_keylog(record): seen.append(record)
@hookimpl
def fynx_authorize(request):
    seen.append(request)
    return False
"""
)


def test_every_hook_of_a_third_party_reaches_the_registry(site: Site) -> None:
    modules = site.install("acme-everything", acme=EVERYTHING)
    registry = boot(["acme"])
    assert registry.algorithms.ciphers[9001, 128].keyword == "acme128"
    assert registry.algorithms.prfs[9002].keyword == "prfacme"
    assert registry.algorithms.integs[9003].keyword == "acmemac"
    assert registry.algorithms.key_exchanges[9004].keyword == "acmedh"
    assert [one.version for one in registry.providers] == ["7"]
    assert list(registry.auth_methods) == ["acmeauth"]
    assert list(registry.transports) == ["acmewire"]
    assert list(registry.dataplanes) == ["acmeplane"]
    assert list(registry.stores) == ["acmestore"]
    assert [one.name for one in registry.extensions] == ["acmeext"]
    assert registry.sections["acme"].__name__ == "Settings"
    assert list(registry.commands) == ["acme-hello"]
    assert [one.name for one in registry.services] == ["acmeservice"]
    info = registry.plugins["acme"]
    assert (info.distribution, info.version, info.module) == ("acme-everything", "1.2", modules["acme"])
    assert set(info.hooks) == set(loader.hook_names())


def test_the_listeners_of_a_third_party_are_called(site: Site) -> None:
    modules = site.install("acme-everything", acme=EVERYTHING)
    notify = boot(["acme"]).notify
    notify.event(fynx.events.NatDetected("hq", local=True, remote=False))
    record = fynx.plugin.EspKeyRecord("192.0.2.1", "192.0.2.2", 256, 20, 128, 0, b"", b"")
    notify.keylog(record)
    request = fynx.plugin.AuthorizeRequest("hq", "192.0.2.1", "hq.example.net")
    assert notify.authorize(request) is False
    assert sys.modules[modules["acme"]].seen[1:] == [record, request]


def test_a_listener_may_ask_for_fewer_arguments_than_the_hook_has(site: Site) -> None:
    source = (
        "seen = []\n@hookimpl\ndef fynx_keylog(path): seen.append(path)\n@hookimpl\ndef fynx_event(): seen.append(0)"
    )
    modules = site.install("acme-brief", acme=HEAD + source)
    notify = boot(["acme"]).notify
    notify.keylog(fynx.plugin.EspKeyRecord("192.0.2.1", "192.0.2.2", 256, 20, 128, 0, b"", b""), "keys.txt")
    notify.event(fynx.events.NatDetected("hq", local=True, remote=False))
    assert sys.modules[modules["acme"]].seen == ["keys.txt", 0]


def test_only_listed_plugins_are_imported(site: Site) -> None:
    modules = site.install("acme-two", wanted=HEAD, other="raise RuntimeError('imported')")
    boot(["wanted"])
    assert modules["wanted"] in sys.modules
    assert modules["other"] not in sys.modules


def test_nothing_of_fynx_plugins_is_imported_that_is_not_listed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("fynx_plugins.")]:
        monkeypatch.delitem(sys.modules, name)
    site.install("acme-one", wanted=HEAD)
    boot(["wanted"])
    assert not [name for name in sys.modules if name.startswith("fynx_plugins.")]


def test_the_registry_cannot_be_changed(site: Site) -> None:
    site.install("acme-everything", acme=EVERYTHING)
    registry = boot(["acme"])
    with pytest.raises(FrozenInstanceError):
        registry.providers = ()  # type: ignore[misc]
    tables: list[Any] = [
        registry.algorithms.ciphers,
        registry.algorithms.prfs,
        registry.algorithms.integs,
        registry.algorithms.key_exchanges,
        registry.auth_methods,
        registry.transports,
        registry.dataplanes,
        registry.stores,
        registry.sections,
        registry.commands,
        registry.plugins,
        registry.owners,
    ]
    for table in tables:
        with pytest.raises(TypeError):
            cast("MutableMapping[Any, Any]", table)["x"] = None


def test_two_boots_share_nothing(site: Site) -> None:
    site.install("acme-everything", acme=EVERYTHING)
    first, second = boot(["acme"]), boot(["acme"])
    assert first.notify is not second.notify
    assert first.providers[0] is not second.providers[0]


def test_the_self_test_of_a_plugin_runs_at_boot_and_can_be_left_out_for_listings(site: Site) -> None:
    modules = site.install("acme-tested", acme=HEAD + "ran = []\ndef fynx_selftest(): ran.append(1)")
    boot(["acme"], selftest=False)
    assert sys.modules[modules["acme"]].ran == []
    boot(["acme"])
    assert sys.modules[modules["acme"]].ran == [1]


def test_providers_come_in_the_order_of_preference(site: Site) -> None:
    source = "@hookimpl\ndef fynx_providers(): return [Provider({0!r}, '1', lambda e, b, i: 0)]"
    site.install("acme-libs", one=HEAD + source.format("one"), two=HEAD + source.format("two"))
    registry = boot(["one", "two"])
    assert [one.name for one in registry.ordered(["two", "absent", "one"])] == ["two", "one"]


def test_an_unknown_transport_is_refused_with_the_known_ones(site: Site) -> None:
    site.install("acme-everything", acme=EVERYTHING)
    with pytest.raises(fynx.plugin.PluginError, match="no loaded plugin offers this transport; loaded: acmewire"):
        boot(["acme"]).require("transport", "udp")


def test_the_kernel_speaks_the_interface_of_fynx_plugin() -> None:
    assert loader.API == fynx.plugin.API


def test_the_kernel_speaks_the_c_interface_of_the_header() -> None:
    header = (ROOT / "cext/include/fynx.h").read_text()
    found = re.search(r"#define FYNX_ABI (\d+)u", header)
    assert found is not None
    assert int(found[1]) == abi.ABI
