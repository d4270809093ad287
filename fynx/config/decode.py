"""YAML tree to frozen dataclasses: types, defaults and marks are the schema; pydantic judges single values."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from fynx.config.markers import Check, ChoiceOf, Names, OneOrMany
from fynx.config.problems import Problems, Wrong
from fynx.config.tree import Broken, Mark, Node, Scalar, Sequence, Table, plain
from fynx.config.words import MEANT, unknown_key
from fynx.errors import ConfigError
from fynx.plugin.auth import Secret

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True)


class Bad:
    """Stands for a value whose problems are already noted."""


BAD = Bad()


@dataclass(frozen=True, slots=True)
class Rules:
    """What the decoder asks others: texts by checker name, choices of plugins, secrets, and keys of plugins."""

    checks: Mapping[str, Callable[[str], object]]
    choose: Callable[[str, str], tuple[str, type | None]]
    """(kind, name) to the section's path and model; raises Wrong for a plugin that is not loaded."""
    chosen: Callable[[str, str, object, str, Mark], object]
    """(kind, name, section, path, mark) to the value of the field."""
    secret: Callable[[str, str, Mark], Secret]
    """(text, path, mark) to the secret; raises Wrong or ConfigError."""
    extras: Mapping[str, Mapping[str, tuple[str, type]]] = field(default_factory=dict)
    """By path of a record: further keys, each with the path and the model of the plugin's section."""
    found: Callable[[str, object], None] = lambda _path, _value: None
    """Takes the sections of ``extras`` as they are decoded."""
    after: Mapping[type, Callable[[Any, str, Mark], None]] = field(default_factory=dict)
    """Checks over a whole record, by its class."""


class Decoder:
    """Decodes one file. Never stops at a problem: a value that is ``BAD`` makes its record ``BAD``, nothing else."""

    def __init__(self, rules: Rules, problems: Problems) -> None:
        self._rules, self._problems = rules, problems
        self._adapters: dict[Any, TypeAdapter[Any]] = {}
        self._annotations: dict[type, dict[str, Any]] = {}
        self._blanks: dict[Any, Any] = {}
        self.places: dict[str, tuple[int, int]] = {}

    def value(self, node: Node, kind: Any, path: str, marks: tuple[object, ...] = ()) -> Any:
        """The node as a value of the annotation ``kind``, or ``BAD``."""
        if isinstance(node, Broken):
            return BAD
        self.places[path] = (node.mark.line, node.mark.column)
        origin = get_origin(kind)
        if origin is Annotated and _of_decoder(get_args(kind)[1:]):
            return self.value(node, get_args(kind)[0], path, get_args(kind)[1:])
        for mark in marks:
            if isinstance(mark, ChoiceOf):
                return self._choice(node, mark.kind, path)
        if origin in (Union, types.UnionType):
            return self._union(node, kind, path)
        if kind is Secret:
            return self._secret(node, path)
        if is_dataclass(kind) and isinstance(kind, type):
            return self.record(node, kind, path)
        if origin is tuple:
            return self._sequence(node, get_args(kind), path, marks)
        if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
            return self._mapping(node, get_args(kind)[1], path, marks)
        return self._leaf(node, kind, path, marks)

    def record(self, node: Node, model: type, path: str) -> Any:
        """A dataclass from a mapping; ``key:`` with nothing after it is an empty one."""
        if isinstance(node, Scalar) and node.value is None:
            node = Table(node.mark)
        if not isinstance(node, Table):
            return self._bad("keys and values belong here", path, node.mark, "write it as KEY: VALUE lines")
        known = {one.name: one for one in fields(model) if one.init and not one.metadata.get("internal")}
        self._further(node, path, known)
        hints = self._hints(model)
        values = {name: self._field(node, one, hints[name], path) for name, one in known.items()}
        if any(value is BAD for value in values.values()):
            return BAD
        return self._make(model, values, path, node.mark)

    def _field(self, table: Table, one: Field[Any], hint: Any, path: str) -> Any:
        inner = f"{path}.{one.name}" if path else one.name
        node = table.entries.get(one.name)
        if node is not None:
            return self.value(node, hint, inner)
        if one.default is MISSING and one.default_factory is MISSING:
            example = one.metadata.get("example", f"{one.name}: …")
            return self._bad(f"{one.name} is missing", inner, table.mark, example)
        default: Any = one.default_factory() if one.default_factory is not MISSING else one.default
        if get_origin(hint) is Annotated and any(isinstance(mark, ChoiceOf) for mark in get_args(hint)[1:]):
            return self.value(Scalar(table.mark, default.name), hint, inner)
        if is_dataclass(hint):
            return self._blank(table.mark, hint, inner)
        marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        trimming = [mark for mark in marks if isinstance(mark, Check) and mark.trim]
        return self._trimmed(default, trimming[0], inner, table.mark) if trimming else default

    def _blank(self, mark: Mark, model: Any, path: str) -> Any:
        """A record of which nothing is written: the same wherever it stands."""
        self.places[path] = (mark.line, mark.column)
        if model not in self._blanks:
            made = self.value(Table(mark), model, path)
            if made is BAD:
                return BAD
            self._blanks[model] = made
        return self._blanks[model]

    def _trimmed(self, default: tuple[str, ...], check: Check, path: str, mark: Mark) -> Any:
        kept = tuple(text for text in default if self._passes(text, check))
        if kept:
            return kept
        what = f"no default of {path.rpartition('.')[2]} can be made of the loaded algorithms: {', '.join(default)}"
        return self._bad(what, path, mark, "write proposals of the words that fynx algorithms lists, or add plugins")

    def _passes(self, text: str, check: Check) -> bool:
        try:
            self._rules.checks[check.name](text)
        except ValueError:
            return False
        return True

    def _further(self, table: Table, path: str, known: Mapping[str, object]) -> None:
        """Keys beside the record's own: sections of plugins, or mistakes."""
        extras = self._rules.extras.get(path, {})
        for key in table.entries:
            if key in known or key in extras:
                continue
            inner = f"{path}.{key}" if path else key
            what, remedy = unknown_key(key, (*known, *extras))
            self._problems.error(what, path=inner, mark=table.marks[key], remedy=remedy)
        for key, (section, model) in extras.items():
            if key in table.entries:
                self._rules.found(section, self.value(table.entries[key], model, f"{path}.{key}" if path else key))

    def _make(self, model: type, values: Mapping[str, Any], path: str, mark: Mark) -> Any:
        try:
            made = model(**values)
        except ConfigError as error:
            for problem in error.problems:
                self._problems.adopt(problem, path=path, mark=mark)
            return BAD
        except (ValueError, TypeError) as error:
            return self._bad(str(error), path, mark, getattr(error, "remedy", ""))
        check = self._rules.after.get(model)
        if check:
            check(made, path, mark)
        return made

    def _union(self, node: Node, kind: Any, path: str) -> Any:
        arms = [arm for arm in get_args(kind) if arm is not type(None)]
        if len(arms) < len(get_args(kind)) and isinstance(node, Scalar) and node.value is None:
            return None
        if len(arms) == 1:
            return self.value(node, arms[0], path)
        return self._leaf(node, kind, path)

    def _sequence(self, node: Node, of: tuple[Any, ...], path: str, marks: tuple[object, ...]) -> Any:
        if isinstance(node, Scalar) and any(isinstance(mark, OneOrMany) for mark in marks) and node.value is not None:
            node = Sequence(node.mark, (node,))
        if not isinstance(node, Sequence):
            return self._bad("a list belongs here", path, node.mark, "write it as [ONE, TWO]")
        if len(of) != 2 or of[1] is not Ellipsis:
            return self._leaf(node, tuple[of], path)  # type: ignore[valid-type]
        inner = tuple(mark for mark in marks if isinstance(mark, Check))
        items = [self._item(item, of[0], f"{path}[{index}]", inner) for index, item in enumerate(node.items)]
        if inner and not items:
            return self._bad("the list is empty", path, node.mark, "leave the key out, or name at least one")
        if inner and len(set(items) - {BAD}) < len([item for item in items if item is not BAD]):
            return self._bad("something stands twice in this list", path, node.mark, "remove the repetition")
        return BAD if any(item is BAD for item in items) else tuple(items)

    def _item(self, node: Node, kind: Any, path: str, marks: tuple[object, ...]) -> Any:
        return self.value(node, Annotated[kind, *marks] if marks else kind, path)

    def _mapping(self, node: Node, kind: Any, path: str, marks: tuple[object, ...]) -> Any:
        if isinstance(node, Scalar) and node.value is None:
            node = Table(node.mark)
        if not isinstance(node, Table):
            return self._bad(
                "names and what they stand for belong here", path, node.mark, "write it as NAME: {…} lines"
            )
        values: dict[str, Any] = {}
        for key, entry in node.entries.items():
            if any(isinstance(mark, Names) for mark in marks) and not NAME.fullmatch(key):
                remedy = "letters, digits and _ . @ - only, at most 64"
                self._bad(f"{key[:64]!r} is no usable name", path, node.marks[key], remedy)
            values[key] = self.value(entry, kind, f"{path}.{key}" if path else key)
        return BAD if any(value is BAD for value in values.values()) else types.MappingProxyType(values)

    def _choice(self, node: Node, kind: str, path: str) -> Any:
        # Not for auth: the text there would be a secret in the wrong place, and must not be shown as a name.
        if isinstance(node, Scalar) and isinstance(node.value, str) and kind != "auth":
            node = Table(node.mark, {node.value: Table(node.mark)}, {node.value: node.mark})
        if not isinstance(node, Table) or len(node.entries) != 1:
            return self._bad(f"exactly one {kind} belongs here", path, node.mark, f"write it as {_SAMPLES[kind]}")
        ((name, section),) = node.entries.items()
        try:
            _, model = self._rules.choose(kind, name)
        except Wrong as error:
            return self._bad(str(error), f"{path}.{name}", node.marks[name], error.remedy)
        decoded = self._section(section, model, f"{path}.{name}")
        if decoded is BAD:
            return BAD
        return self._rules.chosen(kind, name, decoded, f"{path}.{name}", node.mark)

    def _section(self, node: Node, model: type | None, path: str) -> Any:
        if model is not None:
            return self.value(node, model, path)
        if plain(node):
            return self._bad("this plugin takes no settings", path, node.mark, "write {} here")
        return None

    def _secret(self, node: Node, path: str) -> Any:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            number = isinstance(node, Scalar) and isinstance(node.value, int | float)
            what = "YAML reads this secret as a number" if number else "a secret is text"
            return self._bad(what, path, node.mark, 'put it in quotes, or name its place: "@file:PATH", "@env:NAME"')
        try:
            return self._rules.secret(node.value, path, node.mark)
        except Wrong as error:
            return self._bad(str(error), path, node.mark, error.remedy)
        except ConfigError as error:
            for problem in error.problems:
                self._problems.adopt(problem, path=path, mark=node.mark)
            return BAD

    def _leaf(self, node: Node, kind: Any, path: str, marks: tuple[object, ...] = ()) -> Any:
        faults: dict[tuple[Mark, str], list[str]] = {}
        try:
            value = self._adapter(kind).validate_python(plain(node))
        except PydanticUserError:
            return self._bad(
                f"the plugin's section has a type that cannot be read here: {kind!r}"[:256], path, node.mark
            )
        except ValidationError as error:
            # Only types and expectations are read from it: its text would show the value.
            for one in error.errors(include_url=False, include_input=False, include_context=True):
                place, inner = _descend(node, path, one["loc"])
                faults.setdefault((place, inner), []).append(_words(one["type"], one["msg"]))
        if faults:
            for (place, inner), reasons in faults.items():
                self._problems.error(" or ".join(dict.fromkeys(reasons)), path=inner, mark=place)
            return BAD
        return self._checked(value, path, node.mark, marks)

    def _checked(self, value: Any, path: str, mark: Mark, marks: tuple[object, ...]) -> Any:
        for one in marks:
            if isinstance(one, Check) and isinstance(value, str):
                try:
                    self._rules.checks[one.name](value)
                except ValueError as error:
                    return self._bad(str(error), path, mark, getattr(error, "remedy", ""))
        return value

    def _hints(self, model: type) -> dict[str, Any]:
        if model not in self._annotations:
            self._annotations[model] = get_type_hints(model, include_extras=True)
        return self._annotations[model]

    def _adapter(self, kind: Any) -> TypeAdapter[Any]:
        if kind not in self._adapters:
            self._adapters[kind] = TypeAdapter(kind, config=_STRICT)
        return self._adapters[kind]

    def _bad(self, what: str, path: str, mark: Mark, remedy: str = "") -> Bad:
        self._problems.error(what, path=path, mark=mark, remedy=remedy)
        return BAD


_SAMPLES = {
    "transport": "{udp: {}}",
    "plane": "{tun: {}}",
    "store": "{file: {path: /etc/fynx/store}}",
    "auth": '{psk: {secret: "@env:NAME"}}',
}


def _of_decoder(marks: tuple[object, ...]) -> bool:
    return any(isinstance(mark, Check | ChoiceOf | Names | OneOrMany) for mark in marks)


def _words(kind: str, message: str) -> str:
    if kind in MEANT:
        return MEANT[kind]
    return message.replace("Input should be", "must be").replace("Value error, ", "")


def _descend(node: Node, path: str, steps: tuple[int | str, ...]) -> tuple[Mark, str]:
    """The innermost node on pydantic's path: steps that are names of union arms lead nowhere and are passed over."""
    for step in steps:
        if isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node, path = node.items[step], f"{path}[{step}]"
        elif isinstance(node, Table) and step in node.entries:
            node, path = node.entries[str(step)], f"{path}.{step}"
    return node.mark, path
