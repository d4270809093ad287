"""The YAML reader: libyaml's events to nodes, with every refusal that a configuration file deserves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from fynx.config.problems import Problems
from fynx.config.tree import DEEPEST, LARGEST, Broken, Mark, Node, Scalar, Sequence, Table
from fynx.errors import ConfigError

_STR_TAG = "tag:yaml.org,2002:str"
_INT = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?[0-9]{1,17}\.[0-9]{1,17}")
_SWITCH = re.compile(r"(?i:y|n|yes|no|on|off)")
_ODD_NUMBER = re.compile(r"[-+]?(0[oO][0-7]+|[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+|[0-9]+)")
_WORDS = {"~": None, "null": None, "Null": None, "NULL": None, "": None}
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def parse(data: bytes, problems: Problems) -> Node:
    """Reads one document. What can be passed over goes to ``problems``; raises ``ConfigError`` for the rest."""
    text = _text(data, problems)
    try:
        return _Builder(yaml.parse(text, Loader=yaml.CSafeLoader), problems).document()
    except yaml.MarkedYAMLError as error:
        what, place, remedy = _explain(error, text)
    except yaml.reader.ReaderError as error:
        place = _mark_at(text, error.position)
        what, remedy = f"control character U+{_code(error.character):04X}", "remove it"
    problems.error(what, mark=place, remedy=remedy)
    # Raised outside the handlers: the reader's exception would carry the text of the file along.
    raise ConfigError(problems.errors)


def _text(data: bytes, problems: Problems) -> str:
    if len(data) > LARGEST:
        problems.error(f"the file has more than {LARGEST} octets", remedy="a configuration is far smaller: look at it")
        raise ConfigError(problems.errors)
    data = data.removeprefix(b"\xef\xbb\xbf")
    bad = data.find(b"\0")
    what = "a NUL octet"
    if bad < 0:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            bad, what = error.start, "an octet that is not UTF-8"
    line = data.count(b"\n", 0, bad) + 1
    problems.error(what, mark=Mark(line, bad - data.rfind(b"\n", 0, bad)), remedy="save the file as UTF-8 text")
    raise ConfigError(problems.errors)


class _Builder:
    """Walks the events of one document. Errors that do not hinder reading on are only noted."""

    def __init__(self, events: Iterator[Any], problems: Problems) -> None:
        self._events, self._problems = events, problems

    def document(self) -> Node:
        next(self._events)  # the stream
        start = next(self._events)
        if not isinstance(start, yaml.DocumentStartEvent):
            self._stop("the file is empty", Mark(1, 1), "fynx init writes an example")
        if start.tags:
            self._stop("a %TAG directive", _mark(start), "remove it")
        node = self._node(next(self._events), "", 0)
        next(self._events)  # the document's end
        after = next(self._events)
        if isinstance(after, yaml.DocumentStartEvent):
            self._stop("a second document begins", _mark(after), "keep one document per file: remove ---")
        return node

    def _node(self, event: Any, path: str, depth: int) -> Node:
        mark = _mark(event)
        if isinstance(event, yaml.AliasEvent):
            return self._broken("aliases are refused", path, mark, "write the value again")
        if depth >= DEEPEST:
            self._stop(f"nested deeper than {DEEPEST} levels", mark, "flatten it")
        if event.anchor:
            self._problems.error("anchors are refused", path=path, mark=mark, remedy=f"remove &{event.anchor}")
        match event:
            case yaml.ScalarEvent():
                return self._scalar(event, path, mark)
            case yaml.SequenceStartEvent():
                node: Node = self._sequence(path, mark, depth)
            case _:
                node = self._table(path, mark, depth)
        if event.tag:
            return self._broken(f"the tag {event.tag[:64]!r} is refused", path, mark, "remove it")
        return node

    def _sequence(self, path: str, mark: Mark, depth: int) -> Sequence:
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, f"{path}[{len(items)}]", depth + 1))
        return Sequence(mark, tuple(items))

    def _table(self, path: str, mark: Mark, depth: int) -> Table:
        table = Table(mark)
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            self._entry(table, event, path, depth)
        return table

    def _entry(self, table: Table, event: Any, path: str, depth: int) -> None:
        place = _mark(event)
        if not isinstance(event, yaml.ScalarEvent):
            self._node(event, path, depth + 1)
            self._node(next(self._events), path, depth + 1)
            self._problems.error("a key that is no plain word", path=path, mark=place, remedy="write KEY: VALUE")
            return
        key: str = event.value
        inner = f"{path}.{key}" if path else key
        value = self._node(next(self._events), inner, depth + 1)
        if event.anchor or event.tag:
            self._problems.error("anchors and tags are refused", path=inner, mark=place, remedy="write the key alone")
        elif not event.style and key in ("<<", "", "~"):
            what = "merge keys are refused" if key == "<<" else "an empty key"
            self._problems.error(what, path=path, mark=place, remedy="write each key out")
        elif key in table.entries:
            first = table.marks[key]
            what = f"the key {key!r} stands twice; first at line {first.line}"
            self._problems.error(what, path=inner, mark=place, remedy="remove one of the two")
        else:
            table.entries[key] = value
            table.marks[key] = place

    def _scalar(self, event: Any, path: str, mark: Mark) -> Node:
        if event.tag and event.tag not in ("!", _STR_TAG):
            return self._broken(f"the tag {event.tag[:64]!r} is refused", path, mark, "remove it")
        if event.tag or event.style:
            return Scalar(mark, str(event.value), plain=False)
        return self._plain(str(event.value), path, mark)

    def _plain(self, text: str, path: str, mark: Mark) -> Node:
        """Numbers in decimal, true and false, null, and text. All else that YAML 1.1 or 1.2 would change is refused."""
        if text in _WORDS:
            return Scalar(mark, None)
        if text in _BOOLS:
            return Scalar(mark, _BOOLS[text])
        if _INT.fullmatch(text):
            return Scalar(mark, int(text))
        if _FLOAT.fullmatch(text):
            return Scalar(mark, float(text))
        if _SWITCH.fullmatch(text):
            what = "YAML programs disagree whether this is text or a truth value"
            return self._broken(what, path, mark, "write true or false, or put it in quotes")
        if _ODD_NUMBER.fullmatch(text) or _resolved(text) != _STR_TAG:
            what = "YAML programs read this as a number or a date, and not all as the same one"
            return self._broken(what, path, mark, "put it in quotes if it is text; write numbers in decimal")
        return Scalar(mark, text)

    def _broken(self, what: str, path: str, mark: Mark, remedy: str) -> Broken:
        self._problems.error(what, path=path, mark=mark, remedy=remedy)
        return Broken(mark)

    def _stop(self, what: str, mark: Mark, remedy: str) -> None:
        self._problems.error(what, mark=mark, remedy=remedy)
        raise ConfigError(self._problems.errors)


def _resolved(text: str) -> str:
    tag: object = yaml.resolver.Resolver().resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return str(tag)


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


def _mark_at(text: str, position: int) -> Mark:
    return Mark(text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position))


def _code(character: object) -> int:
    return character if isinstance(character, int) else ord(str(character)[:1] or "\0")


def _explain(error: yaml.MarkedYAMLError, text: str) -> tuple[str, Mark, str]:
    """libyaml's words with a remedy for the mistakes that people make most."""
    spot = error.problem_mark or error.context_mark
    if spot is None:
        return f"not YAML: {error.problem}", Mark(1, 1), ""
    mark = Mark(spot.line + 1, spot.column + 1)
    lines = text.splitlines()
    line = lines[spot.line] if spot.line < len(lines) else ""
    char = line[spot.column : spot.column + 1]
    indentation = line[: len(line) - len(line.lstrip())]
    if "\t" in indentation or char == "\t":
        return "a tab where YAML wants spaces", mark, "indent with spaces"
    if char in ("@", "`", "%"):
        return f"a value cannot begin with {char}", mark, 'put it in quotes, as in "@env:NAME"'
    remedy = "check the indentation; put text that holds ': ' or ' #' in quotes"
    return f"not YAML: {error.problem or error.context}", mark, remedy
