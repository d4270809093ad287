"""The commands that need no running host: init, check, schema, psk gen, plugins, algorithms."""

from __future__ import annotations

import re
import stat
from functools import cache
from typing import Any

import pytest

from fynx.cli.psk import generate
from fynx.config import load
from fynx.kernel.loader import PRESETS, boot
from fynx.kernel.registry import Registry
from tests.unit.cli.program import Fynx
from tests.unit.config.support import GOOD, PLUGINS, SECRET, registry
from tests.unit.kernel.site import HEAD, Site


@cache
def everything() -> Registry:
    """What a fresh ``fynx.yaml`` enables."""
    return boot(["default"], selftest=False)


GOOD_LITERAL = GOOD.replace("@env:HQ_PSK", SECRET)
MODE_LINE = next(number for number, line in enumerate(GOOD.splitlines(), 1) if "mode: " in line)


# --- plugins ---


def test_plugins_without_a_further_word_lists_them(fynx: Fynx) -> None:
    assert fynx("plugins").out == fynx("plugins", "list").out != ""


# --- check ---


def test_check_says_ok_and_what_is_in_the_file(fynx: Fynx) -> None:
    done = fynx("check", fynx.write(GOOD_LITERAL))
    assert done.code == 0
    assert done.out.endswith(f"fynx.yaml: ok: 1 peer, 1 child, {len(PLUGINS)} plugins\n")
    assert done.err == ""


def test_check_reports_all_errors_and_ends_with_5(fynx: Fynx) -> None:
    broken = GOOD_LITERAL.replace("mode: tunnel", "mode: tunel").replace("10.1.0.0/16", "10.1.0.1/16")
    done = fynx("check", fynx.write(broken))
    assert done.code == 5
    assert done.out == ""
    assert re.search(
        rf"FYNX-1005: \S+/fynx\.yaml:{MODE_LINE}:\d+: peers\.hq\.children\.lan\.mode: must be 'tunnel'", done.err
    )
    assert "    try: write 10.1.0.0/16, or the address alone" in done.err
    assert done.err.endswith("2 errors: nothing was started or changed\n")
    assert "Traceback" not in done.err


def test_check_prints_the_same_as_json(fynx: Fynx) -> None:
    done = fynx("check", "--json", fynx.write(GOOD_LITERAL.replace("mode: tunnel", "mode: tunel")))
    assert done.code == 5
    facts = done.json
    assert next(iter(facts)) == "schema"
    assert (facts["schema"], facts["ok"]) == ("fynx.check/1", False)
    (error,) = facts["errors"]
    assert error["path"] == "peers.hq.children.lan.mode"
    assert error["line"] == MODE_LINE


def test_check_prints_the_summary_as_json(fynx: Fynx) -> None:
    done = fynx("check", "--json", fynx.write(GOOD_LITERAL, mode=0o644))
    assert done.code == 0
    facts = done.json
    assert facts["ok"] is True
    assert facts["name"] == "left"
    assert facts["peers"] == [{"name": "hq", "children": ["lan"]}]
    assert [one["path"] for one in facts["warnings"]] == [
        "peers.hq.remote.auth.psk.secret",
        "peers.hq.local.auth.psk.secret",
    ]


def test_L13_check_says_as_json_which_plugin_must_not_be_left_out(fynx: Fynx, site: Site) -> None:
    decides = "@hookimpl\ndef fynx_authorize(request): return False\nimport os\nos._exit(3)\n"
    site.install("acme-dist", acme=HEAD + decides)
    file = fynx.write(GOOD_LITERAL.replace("plugins: [", "plugins: [acme, "))
    done = fynx("check", "--json", file)
    assert done.code == 5
    (error,) = done.json["errors"]
    assert (error["file"], error["path"]) == (file, "plugins")
    assert error["what"] == ("plugin 'acme' (distribution acme-dist 1.2): ends the program (exit code 3) at its import")
    assert "fynx plugins test acme" in error["remedy"]


def test_warnings_go_to_stderr_and_do_not_fail(fynx: Fynx) -> None:
    done = fynx("check", fynx.write(GOOD_LITERAL, mode=0o644))
    assert done.code == 0
    assert done.err.count("warning: ") == 2
    assert "chmod 0600" in done.err


def test_check_takes_the_file_of_the_environment(fynx: Fynx) -> None:
    fynx.write(GOOD_LITERAL, "default.yaml")
    assert fynx("check").code == 0


def test_a_missing_file_ends_with_5_and_a_remedy(fynx: Fynx) -> None:
    done = fynx("check", "none.yaml")
    assert done.code == 5
    assert "none.yaml:1:1: cannot be read: No such file or directory" in done.err
    assert "try: fynx init" in done.err


# --- init ---


def test_init_writes_a_configuration_that_checks(fynx: Fynx) -> None:
    done = fynx("init", "--plane", "inproc")
    assert done.code == 0
    assert done.out == "fynx.yaml\nswanctl.conf\n"
    config = load(fynx.folder / "fynx.yaml", registry=everything())
    assert config.warnings == ()
    assert config.peers["hq"].children["lan"].remote == ("10.0.0.0/16",)


def test_init_writes_private_files(fynx: Fynx) -> None:
    fynx("init")
    for name in ("fynx.yaml", "swanctl.conf"):
        assert stat.S_IMODE((fynx.folder / name).stat().st_mode) == 0o600
    assert sorted(path.name for path in fynx.folder.iterdir()) == ["fynx.yaml", "swanctl.conf"]


def test_init_writes_the_same_fresh_secret_on_both_sides_and_prints_it_nowhere(fynx: Fynx) -> None:
    done = fynx("init")
    yaml, swanctl = ((fynx.folder / name).read_text() for name in ("fynx.yaml", "swanctl.conf"))
    (first, second) = re.findall(r'secret: "([^"]+)"\}\}', yaml)
    (other,) = re.findall(r'secret = "([^"]+)"', swanctl)
    assert first == second == other
    assert len(first) == 43
    assert first not in done.out + done.err
    fynx("init", "--force")
    assert first not in (fynx.folder / "fynx.yaml").read_text()


def test_init_fills_in_what_the_flags_say_and_mirrors_it_for_the_peer(fynx: Fynx) -> None:
    flags = {
        "--peer": "paris",
        "--remote-address": "198.51.100.1",
        "--remote-id": "paris@example.net",
        "--local-id": "192.0.2.1",
        "--remote-net": "fd00:1::/32",
        "--local-net": "fd00:2::/32[tcp/443]",
        "--plane": "inproc",
    }
    assert fynx("init", *[word for pair in flags.items() for word in pair]).code == 0
    config = load(fynx.folder / "fynx.yaml", registry=everything())
    paris = config.peers["paris"]
    assert (paris.remote.address, paris.remote.id, paris.local.id) == (
        ("198.51.100.1",),
        "paris@example.net",
        "192.0.2.1",
    )
    swanctl = (fynx.folder / "swanctl.conf").read_text()
    assert re.search(r'local \{\s+auth = psk\s+id = "paris@example.net"', swanctl)
    assert re.search(r'remote \{\s+auth = psk\s+id = "192.0.2.1"', swanctl)
    assert "local_ts = fd00:1::/32" in swanctl
    assert "remote_ts = fd00:2::/32[tcp/443]" in swanctl


def test_init_lets_the_peer_begin_when_we_wait_for_anyone(fynx: Fynx) -> None:
    fynx("init", "--remote-address", "any", "--plane", "inproc")
    assert load(fynx.folder / "fynx.yaml", registry=everything()).peers["hq"].start == "none"
    assert "remote_addrs = " in (fynx.folder / "swanctl.conf").read_text()


def test_init_leaves_files_that_exist_alone(fynx: Fynx) -> None:
    (fynx.folder / "swanctl.conf").write_text("mine")
    done = fynx("init")
    assert done.code == 1
    assert "swanctl.conf exists" in done.err
    assert (fynx.folder / "swanctl.conf").read_text() == "mine"
    assert not (fynx.folder / "fynx.yaml").exists()


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--remote-net", "10.0.0.1/8"),
        ("--remote-address", "a b"),
        ("--local-id", "a b"),
        ("--peer", "a/b"),
        ("--plane", "x"),
    ],
)
def test_init_refuses_a_flag_that_the_loader_would_refuse(fynx: Fynx, flag: str, value: str) -> None:
    done = fynx("init", flag, value)
    assert done.code == 2
    assert flag in done.err
    assert list(fynx.folder.iterdir()) == []


def test_init_cannot_be_made_to_write_other_keys(fynx: Fynx) -> None:
    done = fynx("init", "--remote-id", 'keyid:x", auth: {psk: {}}, port: "1', "--plane", "inproc")
    assert done.code == 0
    assert load(fynx.folder / "fynx.yaml", registry=everything()).peers["hq"].remote.port is None


# --- psk gen ---


@pytest.mark.parametrize(
    ("flags", "shape"),
    [
        ([], r"[A-Za-z0-9_-]{43}"),
        (["--octets", "64"], r"[A-Za-z0-9_-]{86}"),
        (["--format", "hex"], r"0x[0-9a-f]{64}"),
        (["--format", "base64"], r"0s[A-Za-z0-9+/]{43}="),
    ],
)
def test_psk_gen_prints_a_key_and_nothing_else(fynx: Fynx, flags: list[str], shape: str) -> None:
    done = fynx("psk", "gen", *flags)
    assert done.code == 0
    assert re.fullmatch(shape + r"\n", done.out)
    assert done.err == ""


def test_psk_gen_never_repeats_itself_and_never_looks_like_a_notation() -> None:
    made = {generate() for _ in range(20_000)}
    assert len(made) == 20_000
    assert not [one for one in made if one.startswith(("0x", "0s", "@", "-"))]


def test_psk_gen_refuses_keys_that_the_loader_would_refuse(fynx: Fynx) -> None:
    assert fynx("psk", "gen", "--octets", "19").code == 2


def test_psk_gen_prints_json(fynx: Fynx) -> None:
    facts = fynx("psk", "gen", "--json").json
    assert (facts["schema"], facts["octets"]) == ("fynx.psk/1", 32)


# --- schema, plugins, algorithms ---


def test_schema_prints_the_schema_of_the_enabled_plugins(fynx: Fynx) -> None:
    fynx.write(GOOD_LITERAL, "default.yaml")
    facts = fynx("schema").json
    assert facts["title"] == "fynx.yaml"
    assert facts["$defs"]["Host"]["properties"]["plane"]["anyOf"][0]["required"] == ["inproc"]


def test_plugins_list_marks_the_enabled_ones_with_their_distribution(fynx: Fynx, site: Site) -> None:
    site.install("acme-one", "3.4", acme_idle="raise RuntimeError('imported')")
    done = fynx("plugins", "list", "-c", fynx.write(GOOD_LITERAL))
    assert done.code == 0
    assert re.search(r"^\* +psk +1 +fynx-ipsec \S+ +auth method psk, section auth.psk$", done.out, re.M)
    assert re.search(r"^ +acme_idle +\? +acme-one 3\.4$", done.out, re.M)


def test_plugins_list_tells_of_one_that_is_not_enabled_what_its_source_says(fynx: Fynx, site: Site) -> None:
    hooks = "@hookimpl\ndef fynx_ciphers(): pass\n@hookimpl\ndef fynx_event(event): pass\n"
    source = "raise RuntimeError('imported')\nFYNX_API = 1\n" + hooks
    site.install("acme-one", "3.4", acme_idle=source)
    facts = fynx("plugins", "list", "--json", "-c", fynx.write(GOOD_LITERAL)).json
    (acme,) = [one for one in facts["plugins"] if one["name"] == "acme_idle"]
    assert (acme["enabled"], acme["distribution"], acme["version"], acme["api"]) == (False, "acme-one", "3.4", 1)
    assert acme["provides"] == ["Cipher", "fynx_event"]
    (psk,) = [one for one in facts["plugins"] if one["name"] == "psk"]
    assert (psk["enabled"], psk["api"], psk["provides"]) == (True, 1, ["auth method psk", "section auth.psk"])


def test_plugins_list_prints_json(fynx: Fynx) -> None:
    facts = fynx("plugins", "list", "--json", "-c", fynx.write(GOOD_LITERAL)).json
    assert facts["schema"] == "fynx.plugins/1"
    enabled = [one["name"] for one in facts["plugins"] if one["enabled"]]
    assert sorted(enabled) == sorted(PLUGINS)


def test_plugins_info_shows_origin_hooks_and_what_is_registered(fynx: Fynx) -> None:
    done = fynx("plugins", "info", "aes_gcm", "-c", fynx.write(GOOD_LITERAL))
    assert done.code == 0
    for line in ("distribution: fynx-ipsec", "module:       fynx_plugins.aes_gcm", "hook:         fynx_ciphers"):
        assert line in done.out
    facts: Any = fynx("plugins", "info", "aes_gcm", "--json", "-c", fynx.write(GOOD_LITERAL)).json
    assert facts["schema"] == "fynx.plugin/1"
    assert {"kind": "keyword", "key": "aes256gcm16"} in facts["registers"]


def test_plugins_info_suggests_a_name(fynx: Fynx) -> None:
    done = fynx("plugins", "info", "aes_gmc", "-c", fynx.write(GOOD_LITERAL))
    assert done.code == 2
    assert "did you mean 'aes_gcm'" in done.err


def test_a_broken_list_of_plugins_ends_with_5(fynx: Fynx) -> None:
    done = fynx("plugins", "list", "-c", fynx.write("plugins: [psx]\n"))
    assert done.code == 5
    assert "fynx.yaml:1:11: plugins[0]: plugin 'psx': not installed" in done.err


def test_algorithms_lists_words_numbers_and_plugins(fynx: Fynx) -> None:
    done = fynx("algorithms", "-c", fynx.write(GOOD_LITERAL))
    assert re.search(r"^encryption +aes256gcm16 +20 +IKE, ESP +aes_gcm +slow$", done.out, re.M)
    assert re.search(r"^key exchange +x25519 +31 +x25519$", done.out, re.M)


def test_algorithms_prints_json_with_the_libraries_that_run_them(fynx: Fynx, site: Site) -> None:
    source = "@hookimpl\ndef fynx_providers(): return [Provider('acmelib', '7.1', lambda e, b, i: 0)]"
    site.install("acme-lib", acme=HEAD + source)
    text = GOOD_LITERAL.replace("plugins: [", "plugins: [acme, ")
    facts = fynx("algorithms", "--json", "-c", fynx.write(text)).json
    assert facts["schema"] == "fynx.algorithms/1"
    assert facts["providers"] == [{"name": "acmelib", "version": "7.1"}]
    assert {"keyword": "prfsha384", "id": 6, "plugin": "hmac_sha2"} in facts["prfs"]
    gcm = next(one for one in facts["ciphers"] if one["keyword"] == "aes256gcm16")
    assert (gcm["id"], gcm["key_bits"], gcm["aead"], gcm["providers"]) == (20, 256, True, [])


def test_without_a_file_the_preset_default_answers(fynx: Fynx, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def remember(names: tuple[str, ...], *, files: list[object]) -> object:
        assert not files
        asked.append(names)
        return registry()

    monkeypatch.setattr("fynx.cli.enabled.boot", remember)
    assert fynx("algorithms").code == 0
    assert asked == [("default",)]
    assert "default" in PRESETS
