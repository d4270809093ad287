"""The JSON schema: it accepts what the loader accepts, and refuses what can be refused without knowing algorithms."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fynx.cli import example
from fynx.config.parse import parse
from fynx.config.problems import Problems
from fynx.config.schema import DIALECT, json_schema
from fynx.config.tree import plain
from tests.unit.config.support import GOOD, changed, registry

SCHEMA = json_schema(registry())
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (tuple, list),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
KNOWN = {"$schema", "$defs", "$ref", "title", "description", "default", "type", "properties", "additionalProperties"}
KNOWN |= {"required", "items", "anyOf", "allOf", "const", "enum", "minimum", "maximum", "exclusiveMinimum", "minLength"}


def valid(value: object, schema: dict[str, Any]) -> bool:
    """JSON Schema 2020-12, the keywords that we use; any other keyword is an error of this test."""
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" in schema and not valid(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]):
        return False
    if not all(valid(value, one) for one in schema.get("allOf", ())):
        return False
    if "anyOf" in schema and not any(valid(value, one) for one in schema["anyOf"]):
        return False
    kinds = schema.get("type", list(TYPES))
    if not any(_is(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        return False
    if ("const" in schema and value != schema["const"]) or ("enum" in schema and value not in schema["enum"]):
        return False
    return _numbers(value, schema) and _members(value, schema)


def _is(value: object, kind: str) -> bool:
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _numbers(value: object, schema: dict[str, Any]) -> bool:
    if not isinstance(value, int | float):
        return True
    above = value >= schema.get("minimum", value) and value <= schema.get("maximum", value)
    return above and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])


def _members(value: object, schema: dict[str, Any]) -> bool:
    if isinstance(value, list | tuple):
        return all(valid(item, schema["items"]) for item in value) if "items" in schema else True
    if not isinstance(value, dict):
        return True
    known, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
    if not set(schema.get("required", ())) <= set(value):
        return False
    if not all(valid(value[key], known[key]) for key in value if key in known):
        return False
    others = [value[key] for key in value if key not in known]
    return all(valid(item, rest) for item in others) if isinstance(rest, dict) else bool(rest or not others)


def document(text: str) -> object:
    return plain(parse(text.encode(), Problems()))


SITE = example.Site("hq", "any", "a.example.net", "b.example.net", "10.0.0.0/8", "10.1.0.0/16", "inproc", "x" * 43)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        example.fynx_yaml(SITE),
        changed("[aes256gcm16]", "aes256gcm16"),
        changed("{inproc: {}}", "inproc"),
        changed("{inproc: {}}", "{inproc: }"),
        changed("start:  initiate", "liveness_s: null"),
        changed("start:  initiate", "liveness_s: 10"),
        changed("policies: [", "kill_switch: false\npolicies: ["),
    ],
)
def test_what_the_loader_takes_the_schema_takes(text: str) -> None:
    assert valid(document(text), SCHEMA)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("start:  initiate", "strat: none"),
        ("start:  initiate", "start: always"),
        ("{inproc: {}}", "{inprok: {}}"),
        ("{inproc: {}}", "{inproc: {capacty: 1}}"),
        ("{inproc: {}}", "{inproc: {}, udp: {}}"),
        ("id: branch@example.net,", ""),
        ("auth: {psk: ", "auth: {pks: "),
        ("priority: 10", "priority: ten"),
        ("priority: 10", "priority: -1"),
        ("name: left", "name: 7"),
        ("encap: always", "encap: never"),
        ('secret: "@env:HQ_PSK"', "secret: 7"),
    ],
)
def test_what_types_can_refuse_the_schema_refuses(old: str, new: str) -> None:
    assert not valid(document(changed(old, new)), SCHEMA)


def test_it_names_its_dialect_and_every_reference_leads_somewhere() -> None:
    assert SCHEMA["$schema"] == DIALECT
    references = set(re.findall(r"#/\$defs/([^'\"]+)", repr(SCHEMA)))
    assert references == set(SCHEMA["$defs"])


def test_sections_of_plugins_are_in_it() -> None:
    sections = set(SCHEMA["$defs"])
    assert "fynx_plugins.udp.config.UdpConfig" in sections
    assert "fynx_plugins.psk.PskConfig" in sections


def test_fields_carry_their_documentation_and_defaults() -> None:
    peer = SCHEMA["$defs"]["Peer"]["properties"]
    assert "in order of preference" in peer["ike"]["description"]
    assert peer["ike"]["default"][0] == "aes256gcm16-prfsha384-x25519"
    assert peer["unique"]["default"] == "replace"
    assert SCHEMA["$defs"]["Peer"]["required"] == ["remote", "local"]
