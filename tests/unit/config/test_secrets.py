"""Secrets: where they may stand, how files are checked, and that they show nowhere (rows L1, L2, L6, L20)."""

from __future__ import annotations

import base64
import os
import socket
import traceback
from pathlib import Path

import pytest

from fynx.config import Config, load
from fynx.errors import ConfigError, Problem
from tests.unit.config.support import GOOD, SECRET, changed, loaded, problems, registry

OURS = "local:  {id: branch@example.net,    auth: {psk: {secret: "
PATH = "peers.hq.local.auth.psk.secret"


def with_secret(text: str) -> str:
    """The example with ``text`` as the YAML of our own secret."""
    return changed(f'{OURS}"@env:HQ_PSK"', f"{OURS}{text}")


def secret_of(config: Config) -> bytes:
    return bytes(config.peers["hq"].local.auth.section.secret.reveal())  # type: ignore[attr-defined]


def only(found: list[Problem]) -> Problem:
    (problem,) = found
    assert problem.path == PATH
    return problem


LONG = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "hq.psk"
    path.write_text(LONG + "\n")
    path.chmod(0o600)
    return path


def test_a_secret_comes_from_a_file_beside_the_configuration(file: Path) -> None:
    assert secret_of(loaded(with_secret('"@file:hq.psk"'), base=file.parent)) == LONG.encode()


def test_a_secret_comes_from_an_absolute_path(file: Path) -> None:
    assert secret_of(loaded(with_secret(f'"@file:{file}"'))) == LONG.encode()


@pytest.mark.parametrize(("content", "value"), [("", ""), ("\n", ""), ("\r\n", ""), ("\n\n", "\n"), (" ", " ")])
def test_one_line_end_of_a_file_is_not_part_of_the_secret(file: Path, content: str, value: str) -> None:
    file.write_bytes((LONG + content).encode())
    assert secret_of(loaded(with_secret('"@file:hq.psk"'), base=file.parent)) == (LONG + value).encode()


def test_a_secret_comes_from_the_environment() -> None:
    assert secret_of(loaded(with_secret('"@env:OTHER"'), {"OTHER": LONG})) == LONG.encode()


def test_a_secret_comes_from_the_store(tmp_path: Path) -> None:
    (tmp_path / "psk").mkdir(mode=0o700)
    tmp_path.chmod(0o700)
    (tmp_path / "psk" / "hq").write_text(LONG)
    (tmp_path / "psk" / "hq").chmod(0o600)
    text = with_secret('"@store:psk/hq"').replace("plane:", f"store: {{file: {{path: {tmp_path}}}}}\n  plane:")
    assert secret_of(loaded(text)) == LONG.encode()
    missing = only(problems(text.replace("psk/hq", "psk/other")))
    assert "the store has no psk/other" in missing.what
    tmp_path.chmod(0o755)
    assert f"chmod 0700 {tmp_path}" in only(problems(text)).remedy


def test_a_store_must_be_chosen_before_it_is_named() -> None:
    problem = only(problems(with_secret('"@store:psk/hq"')))
    assert "@store: needs a store" in problem.what
    assert "store: {file:" in problem.remedy


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("0x" + "ab" * 32, b"\xab" * 32),
        ("0X" + "ab" * 32, ("0X" + "ab" * 32).encode()),
        ("0s" + base64.b64encode(b"\xcd" * 32).decode(), b"\xcd" * 32),
        ("plain text of more than thirty-two octets", b"plain text of more than thirty-two octets"),
        ("größer als zweiunddreißig Oktette, das schon", "größer als zweiunddreißig Oktette, das schon".encode()),
    ],
)
def test_hexadecimal_and_base64_are_marked_as_in_swanctl(text: str, octets: bytes, file: Path) -> None:
    assert secret_of(loaded(with_secret(f'"{text}"'))) == octets
    assert secret_of(loaded(with_secret('"@env:OTHER"'), {"OTHER": text})) == octets
    file.write_text(text + "\n")
    assert secret_of(loaded(with_secret('"@file:hq.psk"'), base=file.parent)) == octets


@pytest.mark.parametrize(
    ("text", "telling"), [("0xabc", "not hexadecimal"), ("0xzz", "not hexa"), ("0s*", "not base64")]
)
def test_a_marked_secret_that_does_not_decode_is_refused(text: str, telling: str) -> None:
    assert telling in only(problems(with_secret(f'"{text}"'))).what


# --- files that are not ours alone (row L2) ---


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o644, 0o666, 0o700, 0o601])
def test_a_file_that_others_may_read_is_refused_with_the_command(file: Path, mode: int) -> None:
    file.chmod(mode)
    problem = only(problems(with_secret('"@file:hq.psk"'), base=file.parent))
    assert f"has mode {mode:04o}" in problem.what
    assert problem.remedy == f"chmod 0600 {file}"


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_that_is_ours_alone_is_taken(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert problems(with_secret('"@file:hq.psk"'), base=file.parent) == []


def test_a_file_of_somebody_else_is_refused_with_the_command(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = file.stat().st_uid
    monkeypatch.setattr("fynx.config.secret.os.geteuid", lambda: owner + 4711)
    monkeypatch.setattr("fynx.config.secret.ROOT", -1)
    problem = only(problems(with_secret('"@file:hq.psk"'), base=file.parent))
    assert f"belongs to user {owner}" in problem.what
    assert problem.remedy == f"chown {owner + 4711} {file}"


def test_a_symbolic_link_is_refused(file: Path) -> None:
    (file.parent / "link").symlink_to(file)
    problem = only(problems(with_secret('"@file:link"'), base=file.parent))
    assert "is a symbolic link" in problem.what
    assert str(file) in problem.remedy


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "socket"))
        for name in ("pipe", "folder", "socket"):
            problem = only(problems(with_secret(f'"@file:{name}"'), base=tmp_path))
            assert "is not a regular file" in problem.what or "cannot be read" in problem.what
            assert problem.remedy == f"ls -l {tmp_path / name}"


def test_odd_names_are_quoted_for_the_shell(tmp_path: Path) -> None:
    file = tmp_path / "my key; rm"
    file.write_text(LONG)
    file.chmod(0o644)
    assert only(problems(with_secret('"@file:my key; rm"'), base=tmp_path)).remedy == f"chmod 0600 '{file}'"


def test_a_huge_file_is_refused(file: Path) -> None:
    file.write_bytes(b"x" * 70_000)
    assert "more than 65536 octets" in only(problems(with_secret('"@file:hq.psk"'), base=file.parent)).what


@pytest.mark.parametrize(
    ("text", "telling", "remedy"),
    [
        ('"@env:NOT_THERE"', "no variable 'NOT_THERE'", "export NOT_THERE="),
        ('"@file:none"', "No such file", "ls -l"),
        ('"@vault:x"', "an unknown kind of reference", "@file:PATH"),
        ('"@env"', "an unknown kind of reference", "@env:NAME"),
        ('""', "the secret is empty", "fynx psk gen"),
        ("12345678901234567890", "YAML programs read this as a number", "quotes"),
        ("1234567890", "YAML reads this secret as a number", "put it in quotes"),
        ("0123", "YAML programs read this as a number", "quotes"),
        ("1:20", "YAML programs read this as a number", "quotes"),
        ("true", "YAML reads this secret as a number", "put it in quotes"),
        ("null", "a secret is text", "put it in quotes"),
        ("[a]", "a secret is text", "put it in quotes"),
    ],
)
def test_a_secret_that_cannot_be_meant_is_refused(text: str, telling: str, remedy: str) -> None:
    problem = only(problems(with_secret(text)))
    assert telling in problem.what
    assert remedy in problem.remedy


# --- strength (row L20) ---


@pytest.mark.parametrize("length", [1, 4, 19])
def test_a_short_pre_shared_key_is_an_error(length: int) -> None:
    problem = only(problems(with_secret(f'"{"k" * length}"')))
    assert f"has {length} octets, fewer than 20" in problem.what
    assert "fynx psk gen" in problem.remedy
    assert "allow_weak_psk: true" in problem.remedy


def test_a_short_pre_shared_key_can_be_allowed_and_is_then_warned_about() -> None:
    text = with_secret('"test"').replace("    ike:", "    allow_weak_psk: true\n    ike:")
    (warning,) = loaded(text).warnings
    assert "has 4 octets, fewer than 32" in warning.what
    assert warning.path == PATH


@pytest.mark.parametrize(("length", "warned"), [(20, True), (31, True), (32, False)])
def test_a_pre_shared_key_of_middling_length_is_warned_about(length: int, warned: bool) -> None:
    assert bool(loaded(with_secret(f'"{"k" * length}"')).warnings) is warned


def test_octets_count_and_not_characters() -> None:
    assert "has 10 octets" in only(problems(with_secret('"0x' + "ab" * 10 + '"'))).what


# --- secrets in the main file ---


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o644, True)])
def test_a_literal_secret_is_warned_about_unless_the_file_is_private(tmp_path: Path, mode: int, warned: bool) -> None:
    file = tmp_path / "fynx.yaml"
    file.write_text(with_secret(f'"{LONG}"'))
    file.chmod(mode)
    config = load(file, registry=registry(), environment={"HQ_PSK": SECRET})
    assert [one.path for one in config.warnings] == ([PATH] if warned else [])
    if warned:
        assert f"chmod 0600 {file}" in config.warnings[0].remedy


def test_a_reference_in_a_readable_file_is_no_cause_for_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "fynx.yaml"
    file.write_text(GOOD)
    file.chmod(0o644)
    assert load(file, registry=registry(), environment={"HQ_PSK": SECRET}).warnings == ()


# --- the canary (row L6) ---

CANARY = "Kanarienvogel-7Qx2Zp9Lm4Rt8Wv3Yb6Nc1"
FORMS = (CANARY, CANARY.encode().hex(), base64.b64encode(CANARY.encode()).decode(), CANARY[:12])
BROKEN = {
    "fine": lambda text: text,
    "bad value elsewhere": lambda text: text.replace("mode: tunnel", "mode: tunel"),
    "bad key beside": lambda text: text.replace("{secret: ", "{sekret: 1, secret: "),
    "not a mapping": lambda text: text.replace(f'{{secret: "{CANARY}"}}', f'"{CANARY}"'),
    "in place of the method": lambda text: text.replace(f'{{psk: {{secret: "{CANARY}"}}}}', f'"{CANARY}"'),
    "a list": lambda text: text.replace(f'"{CANARY}"', f'["{CANARY}"]'),
    "wrong hexadecimal": lambda text: text.replace(f'"{CANARY}"', f'"0x{CANARY}"'),
    "wrong base64": lambda text: text.replace(f'"{CANARY}"', f'"0s{CANARY}!"'),
    "tag": lambda text: text.replace(f'"{CANARY}"', f'!acme "{CANARY}"'),
    "unclosed quote": lambda text: text.replace(f'"{CANARY}"', f'"{CANARY}'),
    "syntax": lambda text: text.replace(f'"{CANARY}"}}', f'{CANARY}: : "}}'),
    "control character": lambda text: text.replace(CANARY, f"{CANARY}\x07"),
    "NUL": lambda text: text.replace(CANARY, f"{CANARY}\0"),
    "too short": lambda text: text.replace(CANARY, CANARY[:14]),
    "in place of a choice": lambda text: text.replace(
        "auth: {psk:", f'auth: {{psk: {{}}, "x": "{CANARY}"}}, old: {{psk:'
    ),
    "number for a peer": lambda text: text.replace("children:", "children: 7\n    xx:"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_secret_shows_in_no_error_no_traceback_and_no_repr(case: str) -> None:
    text = BROKEN[case](with_secret(f'"{CANARY}"'))
    refused: ConfigError | None = None
    try:
        config = loaded(text)
        seen = f"{config!r} {config} {config.peers['hq']!r} {config.warnings}"
    except ConfigError as error:
        refused = error
        seen = "".join(traceback.format_exception(error)) + repr(error) + str(error.problems) + str(error)
    assert (refused is None) is (case == "fine")
    assert refused is None or (refused.__cause__ is None and refused.__context__ is None)
    for form in FORMS:
        assert form not in seen


def test_a_secret_from_a_wrong_file_shows_in_no_error(file: Path) -> None:
    file.write_text(f"0x{CANARY}\n")
    with pytest.raises(ConfigError) as caught:
        loaded(with_secret('"@file:hq.psk"'), base=file.parent)
    seen = "".join(traceback.format_exception(caught.value))
    assert not [form for form in FORMS if form in seen]
