"""The JSON schema of ``fynx.yaml`` for one set of plugins: the same dataclasses that the decoder reads by."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter

from fynx.config.markers import ChoiceOf, OneOrMany
from fynx.config.model import Config, Host
from fynx.config.sections import Sections
from fynx.kernel.registry import Registry
from fynx.plugin.auth import Secret

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]
_ANY_TYPE = ConfigDict(arbitrary_types_allowed=True)


def json_schema(registry: Registry) -> Schema:
    """A schema that accepts what ``load`` accepts, but for checks that only the loaded algorithms can make."""
    made = _Schema(Sections(registry))
    root = made.record(Config, "")
    return {"$schema": DIALECT, "title": "fynx.yaml", **root, "$defs": made.definitions}


class _Schema:
    """Records become definitions, so that each stands once."""

    def __init__(self, sections: Sections) -> None:
        self._sections = sections
        self.definitions: dict[str, Schema] = {}

    def record(self, model: type, path: str | None = None) -> Schema:
        hints = get_type_hints(model, include_extras=True)
        own = [one for one in fields(model) if one.init and not one.metadata.get("internal")]
        words = _docstrings(model)
        properties = {one.name: self._field(one, hints[one.name], words.get(one.name, "")) for one in own}
        if path == "":
            properties |= {key: self.of(model) for key, (_, model) in self._sections.extras[""].items()}
        required = [one.name for one in own if one.default is MISSING and one.default_factory is MISSING]
        schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        if inspect.getdoc(model):
            schema["description"] = str(inspect.getdoc(model))
        return schema | ({"required": required} if required else {})

    def of(self, kind: Any, marks: tuple[object, ...] = ()) -> Schema:
        """The schema of one annotation."""
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Annotated:
            choices = [mark for mark in arguments[1:] if isinstance(mark, ChoiceOf)]
            if choices:
                return self._choice(choices[0].kind)
            if _ours(arguments[0]):
                return self.of(arguments[0], arguments[1:])
        if kind is Secret:
            return {"type": "string", "description": "the secret, or @env:NAME, @file:PATH, @store:KEY"}
        if is_dataclass(kind) and isinstance(kind, type):
            return self._reference(kind)
        if origin in (Union, types.UnionType) and any(_ours(arm) for arm in arguments):
            return {"anyOf": [self.of(arm) for arm in arguments]}
        if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
            items = {"type": "array", "items": self.of(arguments[0])}
            many = any(isinstance(mark, OneOrMany) for mark in marks)
            return {"anyOf": [items, self.of(arguments[0])]} if many else items
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return {"type": ["object", "null"], "additionalProperties": self.of(arguments[1])}
        return dict(TypeAdapter(kind, config=_ANY_TYPE if not is_dataclass(kind) else None).json_schema())

    def _field(self, one: Field[Any], hint: Any, words: str) -> Schema:
        schema = self.of(hint)
        if words:
            schema = {"allOf": [schema]} if "$ref" in schema else schema
            schema["description"] = words
        default = one.default
        if isinstance(default, str | int | float | bool | tuple):
            schema["default"] = list(default) if isinstance(default, tuple) else default
        return schema

    def _reference(self, model: type) -> Schema:
        ours = model.__module__ == Config.__module__
        name = model.__name__ if ours else f"{model.__module__}.{model.__qualname__}"
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self.record(model)
            if model is Host:
                extras = self._sections.extras["host"].items()
                self.definitions[name]["properties"] |= {key: self.of(kind) for key, (_, kind) in extras}
        return {"$ref": f"#/$defs/{name}"}

    def _choice(self, kind: str) -> Schema:
        """One key, the plugin's name; or the bare name when its section needs nothing."""
        arms: list[Schema] = []
        for name in self._sections.names(kind):
            _, model = self._sections.choose(kind, name)
            section: Schema = {"anyOf": [self.of(model), {"type": "null"}]} if model else {"type": ["object", "null"]}
            arm = {"type": "object", "properties": {name: section}, "required": [name], "additionalProperties": False}
            arms += [arm] if kind == "auth" else [arm, {"const": name}]
        return {"anyOf": arms} if arms else {"type": "object"}


def _ours(kind: Any) -> bool:
    """Whether the decoder, rather than pydantic, takes this annotation apart."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _ours(get_args(kind)[0]) or any(isinstance(mark, ChoiceOf) for mark in get_args(kind)[1:])
    mapping = isinstance(origin, type) and issubclass(origin, Mapping)
    return kind is Secret or (is_dataclass(kind) and isinstance(kind, type)) or origin is tuple or mapping


def _docstrings(model: type) -> Mapping[str, str]:
    """The text under each field, as it stands in the source; nothing where there is no source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(model)))
    except (OSError, TypeError, SyntaxError):
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found: dict[str, str] = {}
    for statement, after in itertools.pairwise(body):
        named = isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
        if named and isinstance(text, str):
            found[statement.target.id] = " ".join(text.split())  # type: ignore[attr-defined]
    return found
