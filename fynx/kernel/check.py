"""What a hook must return: the type of each item, and the sense of the numbers in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from types import MappingProxyType

from fynx.plugin.command import Command
from fynx.plugin.crypto import Cipher, Integ, KeyExchange, Prf, Provider
from fynx.plugin.extension import ExchangeSpec, Extension, TaskSpec
from fynx.plugin.section import Section

CORE_EXCHANGES = range(34, 38)
"""IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL (RFC 7296 section 3.1)."""
NAME = re.compile(r"[a-z0-9][a-z0-9_]*")
SECTION = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")


@dataclass(frozen=True, slots=True)
class Shape:
    """What one registration hook returns a list of: a dataclass, or anything with these attributes."""

    noun: str
    model: type | None = None
    attributes: tuple[str, ...] = ()


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "fynx_ciphers": Shape("Cipher", Cipher),
        "fynx_prfs": Shape("Prf", Prf),
        "fynx_integs": Shape("Integ", Integ),
        "fynx_key_exchanges": Shape("KeyExchange", KeyExchange),
        "fynx_providers": Shape("Provider", Provider),
        "fynx_auth_methods": Shape("AuthMethod", None, ("method_ids", "sign", "verify")),
        "fynx_transports": Shape("Transport", None, ("open",)),
        "fynx_dataplanes": Shape("Dataplane", None, ("open",)),
        "fynx_stores": Shape("Store", None, ("open",)),
        "fynx_extensions": Shape("Extension", Extension),
        "fynx_sections": Shape("Section", Section),
        "fynx_commands": Shape("Command", Command),
        "fynx_services": Shape("Service", None, ("run",)),
    }
)


def fault(hook: str, item: object) -> str:
    """What is wrong with ``item`` as an element of the hook's list; empty when nothing is."""
    shape = SHAPES[hook]
    if isinstance(item, type) or (shape.model is not None and not isinstance(item, shape.model)):
        return f"returned {_kind(item)} where a {shape.noun} belongs"
    if shape.model is None:
        missing = [name for name in ("name", *shape.attributes) if not hasattr(item, name)]
        if missing:
            return f"returned {_kind(item)}, which is no {shape.noun}: it lacks {', '.join(missing)}"
    rule: Callable[[object], str] | None = _RULES.get(hook)
    return rule(item) if rule else _name(getattr(item, "name", None))


def _kind(item: object) -> str:
    return f"the class {item.__name__}" if isinstance(item, type) else f"a {type(item).__name__}"


def _name(value: object) -> str:
    if isinstance(value, str) and NAME.fullmatch(value):
        return ""
    return f"gives the name {value!r}: lower-case letters, digits and _ only"


def _numbers(item: object, least: Mapping[str, int]) -> str:
    for name, low in least.items():
        value = getattr(item, name)
        if type(value) is not int or value < low:
            return f"gives {name} = {value!r}, an integer of at least {low} is needed"
    return ""


def _functions(item: object, *names: str) -> str:
    bad = [name for name in names if not callable(getattr(item, name))]
    return f"gives no function for {', '.join(bad)}" if bad else ""


def _cipher(item: object) -> str:
    sizes = {"transform_id": 1, "key_bits": 0, "salt_len": 0, "iv_len": 0, "icv_len": 0, "block_len": 1}
    wrong = _name(getattr(item, "keyword", None)) or _numbers(item, sizes) or _functions(item, "key")
    if wrong or not isinstance(item, Cipher):
        return wrong
    if item.key_bits % 8:
        return f"gives key_bits = {item.key_bits}, which is no whole number of octets"
    if item.aead != (item.icv_len > 0):
        return "is an AEAD without an ICV" if item.aead else "has an ICV without being an AEAD"
    return ""


def _mac(item: object) -> str:
    size = "out_len" if isinstance(item, Prf) else "icv_len"
    numbers = _numbers(item, {"transform_id": 1, "key_len": 1, size: 1})
    return _name(getattr(item, "keyword", None)) or numbers or _functions(item, "mac")


def _key_exchange(item: object) -> str:
    sizes = {"transform_id": 1, "initiator_len": 1, "responder_len": 1}
    return _name(getattr(item, "keyword", None)) or _numbers(item, sizes) or _functions(item, "start", "answer")


def _provider(item: object) -> str:
    return _name(getattr(item, "name", None)) or _functions(item, "ops")


def _auth_method(item: object) -> str:
    ids = getattr(item, "method_ids", None)
    if not isinstance(ids, tuple) or not ids or not all(type(one) is int and 0 < one < 256 for one in ids):
        return f"gives method_ids = {ids!r}, a tuple of numbers from 1 to 255 is needed"
    return _name(getattr(item, "name", None)) or _functions(item, "sign", "verify")


def _extension(item: object) -> str:
    if not isinstance(item, Extension):
        return "is no Extension"
    if not all(isinstance(one, ExchangeSpec) and 0 <= one.number < 256 for one in item.exchanges):
        return "gives an exchange that is no ExchangeSpec with a number from 0 to 255"
    if any(one.number in CORE_EXCHANGES for one in item.exchanges):
        return "gives an exchange type of the core (34 to 37); register tasks for it, not the type"
    if not all(isinstance(one, TaskSpec) and callable(one.make) for one in item.tasks):
        return "gives a task that is no TaskSpec with a make function"
    return _name(item.name)


def _section(item: object) -> str:
    path, model = getattr(item, "path", None), getattr(item, "model", None)
    if not isinstance(path, str) or not SECTION.fullmatch(path):
        return f"gives the section path {path!r}: words joined by dots are needed"
    frozen = is_dataclass(model) and isinstance(model, type) and model.__dataclass_params__.frozen  # type: ignore[attr-defined]
    return "" if frozen else f"gives for section {path!r} a model that is no frozen dataclass"


def _command(item: object) -> str:
    name, command = getattr(item, "name", None), getattr(item, "command", None)
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        return f"gives the command name {name!r}: lower-case letters, digits and - only"
    # click is not imported here: a click.Command is what can be invoked and has parameters.
    return "" if hasattr(command, "invoke") and hasattr(command, "params") else f"gives no click.Command for {name!r}"


_RULES: Mapping[str, Callable[[object], str]] = MappingProxyType(
    {
        "fynx_ciphers": _cipher,
        "fynx_prfs": _mac,
        "fynx_integs": _mac,
        "fynx_key_exchanges": _key_exchange,
        "fynx_providers": _provider,
        "fynx_auth_methods": _auth_method,
        "fynx_extensions": _extension,
        "fynx_sections": _section,
        "fynx_commands": _command,
    }
)
