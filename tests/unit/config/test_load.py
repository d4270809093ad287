"""YAML to Config: the documented shape, every error at once with its place, and what to write instead."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fynx.config import Choice, Config, load
from fynx.config.model import ESP, IKE, PROVIDERS
from fynx.errors import ConfigError
from tests.unit.config.support import GOOD, PLUGINS, SECRET, changed, loaded, problems
from tests.unit.kernel.site import HEAD, Site


def test_the_documented_example_loads() -> None:
    config = loaded(GOOD)
    peer = config.peers["hq"]
    assert config.name == "left"
    assert config.host.transport.name == "udp"
    assert config.host.plane == Choice("inproc", config.host.plane.section)
    assert getattr(config.host.transport.section, "ports", None) == (500, 4500)
    assert peer.remote.address == ("vpn.example.net",)
    assert peer.remote.auth.section.secret.reveal() == SECRET.encode()  # type: ignore[attr-defined]
    assert peer.children["lan"].local == ("10.1.0.0/16",)
    assert config.policies[0].remote == ("192.0.2.10/32",)
    assert config.kill_switch is True
    assert config.warnings == ()


def test_a_file_is_named_after_its_stem_unless_it_says_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "gate.yaml"
    file.write_text(changed("name: left\n", ""))
    file.chmod(0o600)
    config = load(file, environment={"HQ_PSK": SECRET})
    assert config.name == "gate"
    assert config.source == str(file)
    assert list(config.registry.plugins) == PLUGINS


def test_defaults_are_those_of_the_interface() -> None:
    text = """\
peers:
  hq:
    remote: {address: 192.0.2.1, id: any, auth: {psk: {secret: "@env:HQ_PSK"}}}
    local: {id: 192.0.2.2, auth: {psk: {secret: "@env:HQ_PSK"}}}
    children: {lan: {local: 10.1.0.0/16, remote: 10.0.0.0/8}}
host: {plane: inproc}
"""
    config = loaded(text)
    assert config.name == "fynx"
    assert config.plugins == ("default",)
    assert config.providers == PROVIDERS == ("ipsecmb", "libcrypto", "sodium")
    assert config.peers["hq"].ike == IKE
    assert config.peers["hq"].children["lan"].esp == ESP == ("aes128gcm16", "aes256gcm16", "chacha20poly1305")
    assert config.host.transport.name == "udp"
    assert getattr(config.host.transport.section, "encap", None) == "always"
    assert config.peers["hq"].liveness_s == 30.0


def test_defaults_are_those_that_the_loaded_algorithms_allow() -> None:
    text = changed("    ike:    [aes256gcm16-prfsha384-x25519, aes128gcm16-prfsha256-ecp256]\n", "")
    for plugin in ("x25519", "chacha20poly1305"):
        text = text.replace(f"{plugin}, ", "")
    text = text.replace("esp: [aes256gcm16], ", "")
    peer = load(text, environment={"HQ_PSK": SECRET}).peers["hq"]
    assert peer.ike == ("aes128gcm16-prfsha256-ecp256", "aes128gcm16-prfsha256-modp2048")
    assert peer.children["lan"].esp == ("aes128gcm16", "aes256gcm16")


def test_when_no_default_is_possible_proposals_must_be_written() -> None:
    text = GOOD.replace("aes_gcm, ", "").replace("aes256gcm16-prfsha384-x25519, aes128gcm16-", "aes256-sha256-")
    text = text.replace("esp: [aes256gcm16], ", "").replace("chacha20poly1305, ", "")
    with pytest.raises(ConfigError) as caught:
        load(text, environment={"HQ_PSK": SECRET})
    (problem,) = caught.value.problems
    assert problem.path == "peers.hq.children.lan.esp"
    assert "no default of esp can be made of the loaded algorithms" in problem.what


def test_one_value_may_stand_for_a_list_of_one() -> None:
    assert loaded(changed("[aes256gcm16]", "aes256gcm16")).peers["hq"].children["lan"].esp == ("aes256gcm16",)


def test_a_bare_name_chooses_a_plugin_with_its_defaults() -> None:
    assert loaded(changed("{inproc: {}}", "inproc")).host.plane.name == "inproc"


def test_null_turns_liveness_off() -> None:
    assert loaded(changed("start:  initiate", "liveness_s: null")).peers["hq"].liveness_s is None


def test_the_configuration_cannot_be_changed() -> None:
    config = loaded(GOOD)
    with pytest.raises(AttributeError):
        config.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        config.peers["x"] = config.peers["hq"]  # type: ignore[index]


WRONG: dict[str, tuple[str, str, str, str, str]] = {
    # case: what is replaced, by what, path, what is said, what to write instead
    "unknown key": ("start:  initiate", "strat: none", "peers.hq.strat", "did you mean 'start'", "known here: remote"),
    "unknown top key": ("name: left", "nmae: left", "nmae", "did you mean 'name'", "known here: name, plugins"),
    "key of another program": ("start:  initiate", "dpd_delay: 30", "peers.hq.dpd_delay", "unknown", "liveness_s"),
    "key one level off": ("name: left", "keylog: x", "keylog", "unknown", "host.keylog"),
    "key of a plugin": (
        "{inproc: {}}",
        "{inproc: {capacty: 1}}",
        "host.plane.inproc.capacty",
        "'capacity'",
        "capacity",
    ),
    "missing": ("id: branch@example.net,", "", "peers.hq.local.id", "id is missing", "branch@example.net"),
    "missing auth": (
        ', auth: {psk: {secret: "@env:HQ_PSK"}}}\n    local',
        "}\n    local",
        "peers.hq.remote.auth",
        "auth is missing",
        "auth: {psk",
    ),
    "text for a mapping": (
        "plane: {inproc: {}}\n",
        "plane: [inproc]\n",
        "host.plane",
        "exactly one plane",
        "{tun: {}}",
    ),
    "two planes": ("{inproc: {}}", "{inproc: {}, tun: {}}", "host.plane", "exactly one plane", "{tun: {}}"),
    "unknown plane": ("{inproc: {}}", "{inprok: {}}", "host.plane.inprok", "did you mean 'inproc'", "loaded: inproc"),
    "plane not loaded": ("{inproc: {}}", "{tun: {}}", "host.plane.tun", "no loaded plugin offers", "list of plugins"),
    "unknown auth": ("auth: {psk: ", "auth: {pks: ", "peers.hq.remote.auth.pks", "did you mean 'psk'", "loaded: psk"),
    "word": ("mode: tunnel", "mode: tunel", "peers.hq.children.lan.mode", "must be 'tunnel' or 'transport'", ""),
    "peer's word": ("start:  initiate", "start: always", "peers.hq.start", "'none', 'initiate' or 'trap'", ""),
    "text for a number": ("priority: 10", "priority: ten", "policies[0].priority", "must be a whole number", ""),
    "fraction": ("priority: 10", "priority: 1.5", "policies[0].priority", "must be a whole number", ""),
    "truth for a number": ("priority: 10", "priority: true", "policies[0].priority", "must be a whole number", ""),
    "quoted number": ("priority: 10", 'priority: "10"', "policies[0].priority", "must be a whole number", ""),
    "below": ("priority: 10", "priority: -1", "policies[0].priority", "greater than or equal to 0", ""),
    "number for text": ("name: left", "name: 7", "name", "must be text", ""),
    "list for a mapping": ("policies: [", "policies: [7, ", "policies[0]", "keys and values belong here", "KEY: VALUE"),
    "number for a list": ("esp: [aes256gcm16]", "esp: 7", "peers.hq.children.lan.esp[0]", "must be text", ""),
    "mapping for a list": ("esp: [aes256gcm16]", "esp: {a: 1}", "peers.hq.children.lan.esp", "a list belongs", "[ONE"),
    "empty list": ("esp: [aes256gcm16]", "esp: []", "peers.hq.children.lan.esp", "the list is empty", "leave the key"),
    "twice in a list": ("[10.0.0.0/8]", "[10.0.0.0/8, 10.0.0.0/8]", "peers.hq.children.lan.remote", "stands twice", ""),
    "name": ("name: left", "name: a/b", "name", "no usable name", "letters, digits"),
    "peer's name": ("  hq:", '  "a b":', "peers", "'a b' is no usable name", "letters, digits"),
    "address": (
        "vpn.example.net",
        "vpn..example",
        "peers.hq.remote.address[0]",
        "no address, network or DNS",
        "192.0.2.1",
    ),
    "any of swanctl": ("address: vpn.example.net", 'address: "%any"', "peers.hq.remote.address[0]", "not under", "any"),
    "identity": ("id: branch@example.net", 'id: "%any"', "peers.hq.local.id", "pattern", "keyid:"),
    "own identity any": ("id: branch@example.net", "id: any", "peers.hq.local.id", "cannot be any", "DNS name"),
    "host bits": ("10.1.0.0/16", "10.1.0.1/16", "peers.hq.children.lan.local[0]", "beyond its prefix", "10.1.0.0/16"),
    "no network": ("10.1.0.0/16", "lan", "peers.hq.children.lan.local[0]", "'lan' is no network", "10.0.0.0/8"),
    "families": ("[10.0.0.0/8]", '["fd00::/8"]', "peers.hq.children.lan.remote", "no address family in common", "IPv4"),
    "no child": ("children:\n      lan: ", "children: {}\n    xlan: ", "peers.hq.children", "no Child SA", "childless"),
    "any and initiate": (
        "address: vpn.example.net",
        "address: any",
        "peers.hq.start",
        "needs an address",
        "start: none",
    ),
    "any and others": (
        "address: vpn.example.net",
        "address: [any, 192.0.2.1]",
        "peers.hq.remote.address",
        "any and other addresses",
        "any alone",
    ),
    "protect": ("action: bypass", "action: protect", "policies[0].action", "must be 'bypass' or 'discard'", ""),
    "provider": ("policies:", "providers: [sodum]\npolicies:", "providers[0]", "provider 'sodum'", "loaded: none"),
    "pinned": ("policies:", "providers: psk\npolicies:", "providers", "pinned but found no library", "more than one"),
    "port": ("4500]", "70000]", "host.transport.udp", "port 70000 is not between", ""),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_reported_with_path_reason_and_remedy(case: str) -> None:
    old, new, path, telling, remedy = WRONG[case]
    found = [one for one in problems(changed(old, new)) if one.path == path and telling in one.what]
    assert found, [str(one) for one in problems(changed(old, new))]
    assert remedy in found[0].remedy
    assert found[0].file == "<text>"


def test_the_place_is_that_of_the_value_or_of_the_unknown_key() -> None:
    (wrong,) = problems(changed("mode: tunnel", "mode: tunel"))
    line = GOOD.splitlines()[wrong.line - 1]
    assert line[wrong.column - 1 :].startswith("tunnel")
    (wrong,) = problems(changed("priority: 10", "prority: 10"))
    assert GOOD.splitlines()[wrong.line - 1][wrong.column - 1 :].startswith("priority")


def test_all_errors_are_reported_at_once_in_the_order_of_the_file() -> None:
    text = GOOD
    for old, new in (
        ("name: left", "name: a/b"),
        ("encap: always", "encap: never"),
        ("vpn.example.net", "vpn..x"),
        ("x25519,", "x25518,"),
        ("start:  initiate", "start: yes"),
        ("10.1.0.0/16", "10.1.0.1/16"),
        ("priority: 10", "prioritty: 10"),
    ):
        text = text.replace(old, new)
    found = problems(text)
    assert [one.line for one in found] == sorted(one.line for one in found)
    paths = {one.path for one in found}
    assert {
        "name",
        "host.transport.udp.encap",
        "peers.hq.remote.address[0]",
        "peers.hq.ike[0]",
        "peers.hq.start",
    } <= paths
    assert {"peers.hq.children.lan.local[0]", "policies[0].prioritty"} <= paths
    assert len(found) == 7


def test_a_mistake_in_the_list_of_plugins_has_its_line_and_column() -> None:
    text = "plugins:\n  - psk\n  - x25518\n  - psk\n"
    with pytest.raises(ConfigError) as caught:
        load(text)
    first, second = (one for one in caught.value.problems if one.path.startswith("plugins"))
    assert (first.path, first.line, first.column) == ("plugins[1]", 3, 5)
    assert "did you mean 'x25519'" in first.what
    assert (second.path, second.line, second.column) == ("plugins[2]", 4, 5)


def test_a_plugin_that_is_not_there_hides_no_other_mistake() -> None:
    with pytest.raises(ConfigError) as caught:
        load("plugins: [default, +nowhere]\nhost: {transport: {udpp: {}}}\npeers: {hq: {ikes: []}}\n")
    paths = {one.path for one in caught.value.problems}
    assert {"plugins[1]", "host.transport.udpp", "peers.hq.ikes"} <= paths


def test_a_broken_plugin_has_its_line_and_its_distribution(site: Site) -> None:
    site.install("acme-bad", bad="raise RuntimeError('kaput')")
    with pytest.raises(ConfigError) as caught:
        load("plugins:\n  - bad\n")
    (problem,) = caught.value.problems
    assert (problem.path, problem.line) == ("plugins[0]", 2)
    assert "plugin 'bad' (distribution acme-bad 1.2): cannot be imported: RuntimeError: kaput" in problem.what


@pytest.mark.parametrize("text", ["plugins: psk\n", "plugins: [1]\n", "plugins: {psk: 1}\n"])
def test_plugins_must_be_a_list_of_names(text: str) -> None:
    with pytest.raises(ConfigError, match="plugins: a list of names belongs here"):
        load(text)


def test_a_list_at_the_top_is_refused() -> None:
    with pytest.raises(ConfigError, match="keys and values belong here"):
        load("- a\n")


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file") as caught:
        load(tmp_path / "none.yaml")
    assert "fynx init" in caught.value.problems[0].remedy


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(ConfigError, match="is not a regular file"):
            load(path)


def test_the_key_log_is_warned_about() -> None:
    (warning,) = loaded(changed("plane: {inproc: {}}", "plane: {inproc: {}}\n  keylog: keys.txt")).warnings
    assert "whoever reads it reads the traffic" in warning.what
    assert (warning.path, warning.line) == ("host.keylog", 6)


SECTION = (
    HEAD
    + """
from dataclasses import dataclass
from typing import Literal

@dataclass(frozen=True, slots=True)
class Inner:
    word: Literal["a", "b"] = "a"

@dataclass(frozen=True, slots=True)
class Settings:
    level: int = 1
    mtu: int | Literal["auto"] = "auto"
    inner: Inner = Inner()
    tags: tuple[str, ...] = ()
    key: Secret | None = None

    def __post_init__(self):
        if self.level > 9:
            raise ValueError("level goes to 9")

@hookimpl
def fynx_sections(): return [Section("acme", Settings), Section("host.acme", Inner)]
"""
)


def third_party(site: Site, text: str) -> Config:
    site.install("acme-settings", acme=SECTION)
    return load(GOOD.replace("plugins: [", "plugins: [acme, ") + text, environment={"HQ_PSK": SECRET})


def test_a_plugin_contributes_a_section_of_its_own(site: Site) -> None:
    config = third_party(site, "acme: {level: 3, mtu: 1400, inner: {word: b}, tags: [x]}\n")
    section = config.sections["acme"]
    assert repr(section) == "Settings(level=3, mtu=1400, inner=Inner(word='b'), tags=('x',), key=None)"


def test_a_section_that_is_not_written_has_its_defaults(site: Site) -> None:
    assert repr(third_party(site, "").sections["acme"]).startswith("Settings(level=1, mtu='auto'")


@pytest.mark.parametrize(
    ("section", "path", "telling"),
    [
        ("{levl: 3}", "acme.levl", "did you mean 'level'"),
        ("{level: 10}", "acme", "level goes to 9"),
        ("{mtu: all}", "acme.mtu", "must be a whole number or must be 'auto'"),
        ("{inner: {word: c}}", "acme.inner.word", "must be 'a' or 'b'"),
        ("{tags: x}", "acme.tags", "a list belongs here"),
        ("{tags: [1]}", "acme.tags[0]", "must be text"),
        ("{key: 1234}", "acme.key", "YAML reads this secret as a number"),
    ],
)
def test_a_mistake_in_a_plugins_section_is_reported_like_ours(
    site: Site, section: str, path: str, telling: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        third_party(site, f"acme: {section}\n")
    (problem,) = caught.value.problems
    assert problem.path == path
    assert telling in problem.what
    assert problem.line == len(GOOD.splitlines()) + 1


@pytest.mark.parametrize("path", ["peers", "peers.hq.acme", "host.keylog"])
def test_a_plugins_section_in_a_place_of_ours_is_refused(site: Site, path: str) -> None:
    source = SECTION.replace('Section("acme", Settings)', f'Section("{path}", Settings)')
    site.install("acme-settings", acme=source)
    with pytest.raises(ConfigError, match=f"a plugin's section '{path}'"):
        load(GOOD.replace("plugins: [", "plugins: [acme, "), environment={"HQ_PSK": SECRET})
