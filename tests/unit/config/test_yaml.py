"""What YAML hides is refused with file, line and column (row L1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from fynx.config.parse import parse
from fynx.config.problems import Problems
from fynx.config.tree import LARGEST, Scalar, Table, find, plain
from fynx.errors import ConfigError, Problem
from tests.unit.config.support import GOOD, loaded
from tests.work import calls


def refusals(data: bytes) -> tuple[Problem, ...]:
    found = Problems("x.yaml")
    try:
        parse(data, found)
    except ConfigError as error:
        return error.problems
    return found.errors


BILLION = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(24)
)

REFUSED: dict[str, tuple[bytes, int, int, str, str]] = {
    "alias": (b"a: &x 1\nb: *x\n", 2, 4, "aliases are refused", "write the value again"),
    "anchor": (b"a: &x 1\n", 1, 4, "anchors are refused", "remove &x"),
    "repeated key": (b"a: 1\nb: 2\na: 3\n", 3, 1, "'a' stands twice; first at line 1", "remove one of the two"),
    "nested repeated key": (b"p:\n  a: 1\n  'a': 2\n", 3, 3, "'a' stands twice; first at line 2", "remove one"),
    "python object": (b"a: !!python/object:os.system x\n", 1, 4, "python/object:os.system' is refused", "remove it"),
    "python sequence": (b"a: !!python/tuple [1]\n", 1, 4, "python/tuple' is refused", "remove it"),
    "unknown tag": (b"a: !acme x\n", 1, 4, "the tag '!acme' is refused", "remove it"),
    "binary": (b"a: !!binary aGk=\n", 1, 4, "binary' is refused", "remove it"),
    "set": (b"a: !!set {x: }\n", 1, 4, "set' is refused", "remove it"),
    "tag directive": (b"%TAG ! tag:acme,2000:\n---\na: 1\n", 1, 1, "%TAG directive", "remove it"),
    "merge key": (b"a: {<<: {b: 1}}\n", 1, 5, "merge keys are refused", "write each key out"),
    "empty key": (b"? \n: 1\n", 1, 2, "an empty key", "write each key out"),
    "list as key": (b"? [a]\n: 1\n", 1, 3, "no plain word", "write KEY: VALUE"),
    "yes": (b"a: yes\n", 1, 4, "text or a truth value", "true or false"),
    "no": (b"a: No\n", 1, 4, "text or a truth value", "true or false"),
    "on": (b"a: on\n", 1, 4, "text or a truth value", "true or false"),
    "y": (b"a: y\n", 1, 4, "text or a truth value", "true or false"),
    "octal": (b"a: 0123\n", 1, 4, "a number or a date", "quotes"),
    "octal of YAML 1.2": (b"a: 0o10\n", 1, 4, "a number or a date", "quotes"),
    "sexagesimal": (b"a: 1:20\n", 1, 4, "a number or a date", "quotes"),
    "hexadecimal": (b"a: 0x10\n", 1, 4, "a number or a date", "quotes"),
    "binary number": (b"a: 0b11\n", 1, 4, "a number or a date", "quotes"),
    "underscores": (b"a: 1_000\n", 1, 4, "a number or a date", "quotes"),
    "exponent": (b"a: 1e3\n", 1, 4, "a number or a date", "quotes"),
    "infinity": (b"a: .inf\n", 1, 4, "a number or a date", "quotes"),
    "date": (b"a: 2026-11-22\n", 1, 4, "a number or a date", "quotes"),
    "very long number": (b"a: " + b"9" * 5000, 1, 4, "a number or a date", "quotes"),
    "tab": (b"a:\n\tb: 1\n", 2, 1, "a tab where YAML wants spaces", "indent with spaces"),
    "reference without quotes": (b"a: @env:X\n", 1, 4, "a value cannot begin with @", "put it in quotes"),
    "colon in text": (b"a: b: c\n", 1, 5, "not YAML", "in quotes"),
    "open bracket": (b"a: [1, 2\nb: 3\n", 2, 2, "not YAML", ""),
    "NUL": (b"a: 1\nb: \0\n", 2, 4, "a NUL octet", "UTF-8"),
    "latin 1": (b"a: 1\nb: gr\xfc\xdfe\n", 2, 6, "not UTF-8", "UTF-8"),
    "UTF-16": ("a: 1\n".encode("utf-16"), 1, 4, "a NUL octet", "UTF-8"),
    "control character": (b"a: x\x07y\n", 1, 5, "control character U+0007", "remove it"),
    "two documents": (b"a: 1\n---\nb: 2\n", 2, 1, "a second document begins", "one document per file"),
    "nothing": (b"", 1, 1, "the file is empty", "fynx init"),
    "only a comment": (b"# nothing\n", 1, 1, "the file is empty", "fynx init"),
    "too large": (b"a: " + b"x" * LARGEST, 1, 1, "more than 1048576 octets", ""),
    "deep lists": (b"[" * 10_000, 1, 33, "nested deeper than 32 levels", "flatten it"),
    "deep mappings": (b"{a: " * 10_000, 1, 129, "nested deeper than 32 levels", "flatten it"),
    "deep blocks": (b"".join(b" " * n + b"a:\n" for n in range(100)), 33, 33, "nested deeper than 32", "flatten it"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_yaml_hides_is_refused_with_its_place(case: str) -> None:
    data, line, column, telling, remedy = REFUSED[case]
    first = next(one for one in refusals(data) if telling in one.what)
    assert (first.line, first.column) == (line, column)
    assert remedy in first.remedy
    assert str(first).startswith(f"x.yaml:{line}:{column}: ")


def test_an_alias_bomb_costs_nothing() -> None:
    """A billion values in some hundred octets: the work is that of the octets."""
    found = refusals(BILLION.encode())
    assert calls(lambda: refusals(BILLION.encode())) < 200 * len(BILLION)
    assert any("aliases are refused" in one.what for one in found)


def test_a_hundred_megabytes_are_not_even_read(tmp_path: Path) -> None:
    file = tmp_path / "big.yaml"
    with file.open("wb") as out:
        out.truncate(100 << 20)
    with pytest.raises(ConfigError, match="more than 1048576 octets"):
        loaded(str(file))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-7", -7),
        ("0", 0),
        ("1.5", 1.5),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("text", "text"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("2001:db8::1", "2001:db8::1"),
        ("vpn.example.net", "vpn.example.net"),
        ("'0123'", "0123"),
        ('"yes"', "yes"),
        ("!!str 0123", "0123"),
        ("aes256gcm16-prfsha384-x25519", "aes256gcm16-prfsha384-x25519"),
        ("1.2.3", "1.2.3"),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_what_means_the_same_to_everybody_is_taken(text: str, value: object) -> None:
    tree = parse(f"a: {text}\n".encode(), Problems())
    assert isinstance(tree, Table)
    node = tree.entries["a"]
    assert isinstance(node, Scalar)
    assert node.value == value
    assert type(node.value) is type(value)


def test_a_byte_order_mark_of_utf_8_and_line_ends_of_windows_are_taken() -> None:
    data = b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()
    assert plain(parse(data, Problems())) == plain(parse(GOOD.encode(), Problems()))


def test_reading_goes_on_after_what_can_be_passed_over() -> None:
    found = refusals(b"a: yes\nb: &x 1\nc: *x\nd: !!set {}\na: 0x1\n")
    assert [one.line for one in found] == [1, 2, 3, 4, 5, 5]


def test_a_node_never_shows_what_it_holds() -> None:
    tree = parse(b"secret: tops3cret\n", Problems())
    assert "tops3cret" not in repr(tree)


def test_a_node_is_found_by_its_path_even_when_names_have_dots() -> None:
    tree = parse(b"peers: {a.b: {id: u}, a: {id: v}}\n", Problems())
    assert plain(find(tree, "peers.a.b.id") or tree) == "u"
    assert plain(find(tree, "peers.a.id") or tree) == "v"
    assert find(tree, "peers.c") is None
