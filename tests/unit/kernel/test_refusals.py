"""What a plugin can do wrong: refused at boot, naming the YAML path, the plugin and its distribution (L13)."""

from __future__ import annotations

import pytest

from fynx.errors import PluginError
from fynx.kernel.loader import boot
from tests.unit.kernel.site import HEAD, Site

HOOK = HEAD + "from types import SimpleNamespace as N\ndef f(*a): return None\n@hookimpl\n"
CIPHER = "Cipher({word!r}, {number}, 128, 4, 8, 16, 1, True, f)"
STRUCT = """
import ctypes
class Head(ctypes.Structure):
    _fields_ = (("abi", ctypes.c_uint32), ("size", ctypes.c_uint32))
head = Head({abi}, {size})
@hookimpl
def fynx_ciphers(): return [Cipher("acme", 9001, 128, 4, 8, 16, 1, True, print)]
@hookimpl
def fynx_providers(): return [Provider("acmelib", "1", {ops})]
"""
ADDRESS = "lambda e, b, i: ctypes.addressof(head)"


def returning(hook: str, value: str) -> str:
    return f"{HOOK}def {hook}(): return {value}\n"


WRONG = {
    "raises at import": ("raise RuntimeError('kaput')", "cannot be imported: RuntimeError: kaput"),
    "leaves at import": ("import sys; sys.exit(3)", "cannot be imported: SystemExit: 3"),
    "lacks a package": ("import acme_no_such_package", "cannot be imported: ModuleNotFoundError"),
    "does not parse": ("def (", "cannot be imported: SyntaxError"),
    "declares no version": ("x = 1", "declares no FYNX_API; this Fynx speaks version 1"),
    "older interface": ("FYNX_API = 0", "written for plugin interface 0, this Fynx speaks 1"),
    "newer interface": ("FYNX_API = 2", "written for plugin interface 2, this Fynx speaks 1"),
    "version that is no number": ("FYNX_API = True", "written for plugin interface True"),
    "mistyped hook": (
        HOOK + "def fynx_cipherz(): return []",
        "unknown hook 'fynx_cipherz'; did you mean 'fynx_ciphers'",
    ),
    "forgotten mark": (HEAD + "def fynx_ciphers(): return []", "'fynx_ciphers' lacks @hookimpl"),
    "forgotten mark and mistyped": (HEAD + "def fynx_cipher(): return []", "did you mean 'fynx_ciphers'"),
    "wrapper": (HEAD + "@hookimpl(wrapper=True)\ndef fynx_ciphers(): return (yield)", "is a wrapper"),
    "another name": (
        HEAD + "@hookimpl(specname='fynx_authorize')\ndef deny(request): return False",
        "hook 'fynx_authorize' goes by another name here",
    ),
    "argument too many": (HOOK + "def fynx_event(event, kernel): pass", "does not fit its specification"),
    "hook raises": (HOOK + "def fynx_ciphers(): raise OSError('disk')", "hook fynx_ciphers failed: OSError: disk"),
    "nothing returned": (returning("fynx_ciphers", "None"), "returned a NoneType, a list of Cipher is needed"),
    "text returned": (returning("fynx_ciphers", "'aes'"), "returned a str, a list of Cipher is needed"),
    "other type": (returning("fynx_ciphers", "[7]"), "returned a int where a Cipher belongs"),
    "other spec": (returning("fynx_integs", "[Prf('p', 1, 1, 1, f)]"), "returned a Prf where a Integ belongs"),
    "class": (returning("fynx_transports", "[N]"), "returned the class SimpleNamespace where a Transport belongs"),
    "no open": (returning("fynx_transports", "[N(name='x')]"), "which is no Transport: it lacks open"),
    "no name": (returning("fynx_stores", "[N(open=f)]"), "which is no Store: it lacks name"),
    "odd name": (returning("fynx_dataplanes", "[N(name='Not OK', open=f)]"), "gives the name 'Not OK'"),
    "no run": (returning("fynx_services", "[N(name='x')]"), "it lacks run"),
    "no method ids": (
        returning("fynx_auth_methods", "[N(name='x', method_ids=(), sign=f, verify=f)]"),
        "method_ids = ()",
    ),
    "odd size": (returning("fynx_ciphers", "[Cipher('a', 1, 12, 0, 8, 16, 1, True, f)]"), "no whole number of octets"),
    "no icv": (returning("fynx_ciphers", "[Cipher('a', 1, 128, 0, 8, 0, 1, True, f)]"), "an AEAD without an ICV"),
    "icv": (returning("fynx_ciphers", "[Cipher('a', 1, 128, 0, 8, 16, 1, False, f)]"), "an ICV without being an AEAD"),
    "no id": (returning("fynx_ciphers", "[Cipher('a', 0, 128, 0, 8, 16, 1, True, f)]"), "transform_id = 0"),
    "text for a size": (returning("fynx_prfs", "[Prf('a', 1, '32', 32, f)]"), "gives key_len = '32'"),
    "no mac": (returning("fynx_integs", "[Integ('a', 1, 32, 16, None)]"), "gives no function for mac"),
    "no start": (returning("fynx_key_exchanges", "[KeyExchange('a', 1, 1, 1, None, f)]"), "no function for start"),
    "a bad keyword": (returning("fynx_key_exchanges", "[KeyExchange('a-b', 1, 1, 1, f, f)]"), "gives the name 'a-b'"),
    "twice the same": (
        returning("fynx_prfs", "[Prf('a', 1, 1, 1, f), Prf('b', 1, 1, 1, f)]"),
        "registers PRF '1' twice",
    ),
    "model not frozen": (returning("fynx_sections", "[Section('acme', dict)]"), "no frozen dataclass"),
    "model of unknown types": (
        HEAD
        + "from dataclasses import make_dataclass\n"
        + "M = make_dataclass('M', [('x', 'Nowhere', 1)], frozen=True)\n"
        + "@hookimpl\ndef fynx_sections(): return [Section('acme', M)]",
        "section 'acme': the types of M cannot be read: NameError",
    ),
    "odd section": (returning("fynx_sections", "[Section('a b', dict)]"), "gives the section path 'a b'"),
    "no command": (returning("fynx_commands", "[Command('acme', f)]"), "gives no click.Command for 'acme'"),
    "odd command": (returning("fynx_commands", "[Command('Acme Co', f)]"), "gives the command name 'Acme Co'"),
    "exchange of the core": (
        returning("fynx_extensions", "[Extension('x', (ExchangeSpec(35, 'IKE_AUTH'),))]"),
        "gives an exchange type of the core",
    ),
    "odd exchange": (returning("fynx_extensions", "[Extension('x', (300,))]"), "no ExchangeSpec"),
    "odd task": (returning("fynx_extensions", "[Extension('x', (), (f,))]"), "no TaskSpec"),
    "provider without ops": (returning("fynx_providers", "[Provider('x', '1', None)]"), "gives no function for ops"),
    "self-test raises": (HEAD + "def fynx_selftest(): raise ValueError('vector 3')", "self-test: ValueError: vector 3"),
    "self-test says no": (HEAD + "def fynx_selftest(): return False", "self-test: it returned False"),
    "self-test is data": (HEAD + "fynx_selftest = 3", "fynx_selftest is no function"),
    "older C interface": (
        HEAD + STRUCT.format(abi=0, size=88, ops=ADDRESS),
        "is built for C interface 0, this Fynx has 1",
    ),
    "newer C interface": (HEAD + STRUCT.format(abi=2, size=88, ops=ADDRESS), "is built for C interface 2"),
    "empty C structure": (HEAD + STRUCT.format(abi=1, size=0, ops=ADDRESS), "a C structure of 0 octets"),
    "pointer as text": (HEAD + STRUCT.format(abi=1, size=88, ops="lambda *a: 'x'"), "returned a str from ops"),
    "provider raises": (HEAD + STRUCT.format(abi=1, size=88, ops="lambda *a: 1 // 0"), "failed: ZeroDivisionError"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_plugin_that_breaks_its_contract_is_refused_by_name(site: Site, case: str) -> None:
    source, telling = WRONG[case]
    site.install("acme-broken", good=HEAD, bad=source)
    with pytest.raises(PluginError) as caught:
        boot(["good", "bad"])
    assert telling in str(caught.value)
    assert str(caught.value).startswith("plugins[1]: plugin 'bad' (distribution acme-broken 1.2): ")


def test_a_c_interface_that_fits_is_taken(site: Site) -> None:
    site.install("acme-good", good=HEAD + STRUCT.format(abi=1, size=88, ops=ADDRESS))
    assert boot(["good"]).providers[0].name == "acmelib"


def test_text_of_a_plugin_cannot_forge_log_lines(site: Site) -> None:
    site.install("acme-evil", bad="raise RuntimeError('a\\nplugins[0]: all is well\\x1b[2J' + 'x' * 999)")
    with pytest.raises(PluginError) as caught:
        boot(["bad"])
    text = str(caught.value)
    assert "\n" not in text
    assert "\x1b" not in text
    assert len(text) < 400


def test_one_module_under_two_names_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = site.install("acme-first", first=HEAD)
    other = site.install("acme-second", second=HEAD)
    monkeypatch.setitem(__import__("sys").modules, other["second"], __import__(modules["first"]))
    with pytest.raises(PluginError, match="already loaded under another plugin name"):
        boot(["first", "second"])


PAIRS = {
    "transform id": (returning("fynx_ciphers", f"[{CIPHER}]"), "cipher '9001/128'"),
    "keyword": (returning("fynx_ciphers", f"[{CIPHER}]"), "keyword 'acme'"),
    "PRF": (returning("fynx_prfs", "[Prf({word!r}, {number}, 1, 1, f)]"), "PRF '9001'"),
    "integrity": (returning("fynx_integs", "[Integ({word!r}, {number}, 1, 1, f)]"), "integrity algorithm '9001'"),
    "key exchange": (
        returning("fynx_key_exchanges", "[KeyExchange({word!r}, {number}, 1, 1, f, f)]"),
        "exchange '9001'",
    ),
    "auth": (returning("fynx_auth_methods", "[N(name='a', method_ids=(9,), sign=f, verify=f)]"), "auth method 'a'"),
    "transport": (returning("fynx_transports", "[N(name='a', open=f)]"), "transport 'a'"),
    "plane": (returning("fynx_dataplanes", "[N(name='a', open=f)]"), "data plane 'a'"),
    "store": (returning("fynx_stores", "[N(name='a', open=f)]"), "store 'a'"),
    "service": (returning("fynx_services", "[N(name='a', run=f)]"), "service 'a'"),
    "provider": (returning("fynx_providers", "[Provider('a', '1', lambda *x: 0)]"), "provider 'a'"),
    "exchange type": (
        returning("fynx_extensions", "[Extension({word!r}, (ExchangeSpec(240, {word!r}),))]"),
        "exchange type '240'",
    ),
    "task": (
        returning("fynx_extensions", "[Extension({word!r}, (), (TaskSpec('t', 35, 1, f),))]"),
        "task '35/t'",
    ),
    "command": (
        "import click\n" + returning("fynx_commands", "[Command('acme', click.Command('acme'))]"),
        "command 'acme'",
    ),
    "section": (
        "from dataclasses import make_dataclass\n"
        + returning("fynx_sections", "[Section('acme', make_dataclass('S', [], frozen=True))]"),
        "section 'acme'",
    ),
}


@pytest.mark.parametrize("case", PAIRS)
def test_two_plugins_that_claim_the_same_are_refused_naming_both_distributions(site: Site, case: str) -> None:
    source, telling = PAIRS[case]
    sources = [source, source]
    for index, word in enumerate(("acme", "acme" if case == "keyword" else "other")):
        number = 9001 + index if case == "keyword" else 9001
        sources[index] = sources[index].replace("{word!r}", repr(word)).replace("{number}", str(number))
    site.install("acme-first", "1.0", first=sources[0])
    site.install("acme-second", "2.0", second=sources[1])
    with pytest.raises(PluginError) as caught:
        boot(["first", "second"])
    text = str(caught.value)
    assert text.startswith("plugins[1]: plugin 'second' (distribution acme-second 2.0): ")
    assert telling in text
    assert "plugin 'first' of distribution acme-first 1.0 at plugins[0]" in text


def test_two_distributions_with_one_entry_point_name_are_refused_before_import(site: Site) -> None:
    site.install("acme-honest", psk_two=HEAD)
    site.install("acme-shadow", psk_two="raise RuntimeError('imported')")
    with pytest.raises(PluginError) as caught:
        boot(["psk_two"])
    assert "acme-honest 1.2" in str(caught.value)
    assert "acme-shadow 1.2" in str(caught.value)


def test_a_third_party_cannot_shadow_a_built_in_plugin(site: Site) -> None:
    site.install("acme-shadow", psk="raise RuntimeError('imported')")
    with pytest.raises(PluginError, match=r"fynx-ipsec .* and acme-shadow|acme-shadow .* and fynx-ipsec"):
        boot(["psk"])


def test_a_plugin_of_a_preset_is_named_with_the_place_of_the_preset(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install("acme-bad", bad="raise RuntimeError('kaput')")
    monkeypatch.setattr("fynx.kernel.selection.PRESETS", {"mine": ("bad",)})
    with pytest.raises(PluginError, match=r"^plugins\[0\]: plugin 'bad' \(distribution acme-bad 1\.2\)"):
        boot(["mine"])
