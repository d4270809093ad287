"""Checks of authentication methods, stores, listeners and services: the contract of each, and what must be refused."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from fynx.config import load
from fynx.errors import AuthFailed, FynxError
from fynx.events import Event, NatDetected, PluginFailed
from fynx.kernel.limit import Overtime, within
from fynx.plugin.auth import AuthContext, AuthMethod, AuthorizeRequest, Identity
from fynx.plugin.selftest import flip
from fynx.plugin.service import Control, Histogram, Service
from fynx.plugin.store import OpenStore
from fynx.testing.kit.subject import Check, Refused, Subject
from fynx.testing.kit.tunnel import SECRET, Wanted, echo

QUICK_S, HANG_S, TRIES = 0.050, 5.0, 10
OCTETS, ID = b"message | nonce | prf(SK_p, ID)", Identity(2, b"kit.test")


def part_checks(subject: Subject) -> Iterator[Check]:
    for name in subject.owned("auth method"):
        yield Check(f"auth {name}: signs what it verifies", partial(_signs, subject, name))
        yield Check(f"auth {name}: forgeries", partial(_auth_forgeries, subject, name))
        yield Check(f"auth {name}: echo tunnel", partial(_auth_tunnel, subject, name))
    for name in subject.owned("store"):
        yield Check(f"store {name}: keeps what is written", partial(_store, subject, name))
        yield Check(f"store {name}: odd keys", partial(_odd_keys, subject, name))
    hooks = subject.registry.plugins[subject.name].hooks
    if "fynx_event" in hooks:
        yield Check("fynx_event: returns at once", partial(_event, subject))
    if "fynx_authorize" in hooks:
        yield Check("fynx_authorize: answers", partial(_authorize, subject))
    for service in subject.registry.services:
        if service.name in subject.owned("service"):
            yield Check(
                f"service {service.name}: ends when it is told", partial(_service, service, subject.registry.sections)
            )


def auth_settings(subject: Subject, name: str) -> Mapping[str, object]:
    found = subject.examples.get(f"auth.{name}", {"secret": SECRET})
    if not isinstance(found, Mapping):
        raise Refused(f"FYNX_EXAMPLES['auth.{name}'] must be a mapping, as in YAML")
    return found


def _context(subject: Subject, name: str, **more: Any) -> AuthContext:
    auth = {name: dict(auth_settings(subject, name))}
    end = {"id": "kit.test", "auth": auth}
    child = {"local": ["198.18.0.0/24"], "remote": ["198.18.1.0/24"]}
    site = {"peers": {"kit": {"remote": {**end, "address": "any"}, "local": end, "children": {"net": child}}}}
    loaded = load(json.dumps(site, indent=1), registry=subject.registry)
    section = loaded.peers["kit"].local.auth.section
    return AuthContext(OCTETS, _prf, ID, section, **more)


def _prf(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def _signs(subject: Subject, name: str) -> None:
    method = subject.registry.auth_methods[name]
    value = method.sign(_context(subject, name))
    if value.method_id not in method.method_ids:
        raise Refused(f"signs as method {value.method_id}, which is none of {method.method_ids}")
    method.verify(_context(subject, name, method_id=value.method_id, value=value.data))


def _auth_forgeries(subject: Subject, name: str) -> None:
    method = subject.registry.auth_methods[name]
    value = method.sign(_context(subject, name))
    good = value.data
    wrong = {"no proof at all": b"", "a proof of zeros": bytes(len(good)), "a proof cut by an octet": good[:-1]}
    wrong |= {f"a proof with octet {place} forged": flip(good, place) for place in (0, len(good) // 2, len(good) - 1)}
    for what, data in wrong.items():
        _must_fail(method, what, _context(subject, name, method_id=value.method_id, value=data))
    other = _context(subject, name, method_id=value.method_id, value=good)
    changed = AuthContext(OCTETS + b"!", _prf, ID, other.config, value.method_id, good)
    _must_fail(method, "a proof over other octets", changed)
    strange = next(one for one in range(1, 256) if one not in method.method_ids)
    _must_fail(method, "a proof by another method", _context(subject, name, method_id=strange, value=good))


def _must_fail(method: AuthMethod, what: str, context: AuthContext) -> None:
    try:
        method.verify(context)
    except AuthFailed as error:
        if SECRET in str(error):
            raise Refused(f"{what}: the error shows the secret") from None
        return
    except Exception as error:
        raise Refused(f"{what}: raises {type(error).__name__}, AuthFailed belongs here") from error
    raise Refused(f"{what} is accepted")


def _auth_tunnel(subject: Subject, name: str) -> None:
    echo(Wanted(auth=name, settings=auth_settings(subject, name)), subject.registry)


# Stores.


def opened(subject: Subject, name: str) -> OpenStore:
    """The store with the example's settings, decoded as YAML would be."""
    settings = subject.examples.get(f"host.store.{name}", {})
    model = subject.registry.sections.get(f"host.store.{name}")
    value = model(**settings) if model is not None and isinstance(settings, Mapping) else None
    return subject.registry.stores[name].open(value)


def _store(subject: Subject, name: str) -> None:
    store = opened(subject, name)
    values = {"one": b"1", "two": bytes(range(256)), "three": b"", "four": b"x" * 65536}
    for key, value in values.items():
        store.write("kit", key, value)
        store.write("kit2", key, b"another kind")
    for key, value in values.items():
        if store.read("kit", key) != value:
            raise Refused(f"what was written under {key!r} does not come back")
    if store.read("kit", "never written") is not None:
        raise Refused("a key that was never written has a value: None belongs here")
    if sorted(store.scan("kit")) != sorted(values):
        raise Refused("scan does not give the keys of its kind, each once")
    store.write("kit", "one", b"changed")
    if store.read("kit", "one") != b"changed":
        raise Refused("a second write does not replace the first")
    for key in (*values, "never written"):
        store.delete("kit", key)
        if store.read("kit", key) is not None:
            raise Refused("what was deleted is still there")
    if store.read("kit2", "one") != b"another kind":
        raise Refused("deleting one kind takes from another")
    for key in values:
        store.delete("kit2", key)


def _odd_keys(subject: Subject, name: str) -> None:
    """Kept like any other, or refused by name; never taken for a place elsewhere."""
    store = opened(subject, name)
    for key in ("../kit", "/etc/kit", "a/b", "a\0b", "ä ö", "k" * 300):
        try:
            store.write("kit", key, b"odd")
            kept = store.read("kit", key)
            store.delete("kit", key)
        except (FynxError, ValueError):
            continue
        if kept != b"odd":
            raise Refused(f"the key {key!r} is taken and does not come back")


# Listeners and services.

EVENTS: tuple[Event, ...] = (
    NatDetected("kit", local=True, remote=False),
    PluginFailed("kit", "other", "fynx_event", "RuntimeError: told to everybody"),
)


def _event(subject: Subject) -> None:
    call = _hook(subject, "fynx_event")
    for event in EVENTS:
        # The best of several: one may be slow because the machine is.
        took = HANG_S
        for _ in range(TRIES):
            took = min(took, _seconds(partial(call, event)))
            if took <= QUICK_S:
                break
        else:
            raise Refused(f"fynx_event takes {took * 1000:.0f} ms: hand long work to a thread of your own")


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    _in_time("fynx_event", call)
    return time.perf_counter() - began


def _authorize(subject: Subject) -> None:
    answer = _in_time("fynx_authorize", partial(_hook(subject, "fynx_authorize"), AuthorizeRequest("kit", "", "kit")))
    if not (answer is None or isinstance(answer, bool)):
        raise Refused(f"fynx_authorize returned a {type(answer).__name__}: True, False or None belongs here")


def _hook(subject: Subject, name: str) -> Callable[..., object]:
    found: Callable[..., object] = getattr(subject.module, name)
    return found


def _in_time(what: str, call: Callable[[], object]) -> object:
    try:
        return within(HANG_S, call)
    except Overtime:
        raise Refused(f"{what} hangs: it did not return within {HANG_S:g} s") from None
    except Exception as error:
        raise Refused(f"{what} raises {type(error).__name__}: {error}") from error


class _Quiet:
    """A host with nothing to tell."""

    def __init__(self, sections: Mapping[str, type]) -> None:
        self._sections = sections

    def status(self) -> Mapping[str, object]:
        return {"schema": "fynx.status/1", "name": "kit", "peers": [], "plane": {}, "counters": {}}

    def counters(self) -> Mapping[str, int]:
        return {}

    def metrics(self) -> Mapping[str, int]:
        return {}

    def histograms(self) -> Mapping[str, Histogram]:
        return {}

    def section(self, path: str) -> object:
        model = self._sections.get(path)
        try:
            return model() if model is not None else None
        except TypeError:
            return None  # it needs a value

    async def up(self, peer: str) -> None: ...

    async def down(self, peer: str) -> None: ...


def _service(service: Service, sections: Mapping[str, type]) -> None:
    async def story() -> None:
        control: Control = _Quiet(sections)
        task = asyncio.ensure_future(service.run(control))
        await asyncio.wait({task}, timeout=0.2)
        if task.done():
            raise Refused(f"run ended by itself: {task.exception() or 'it returned'}")
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=HANG_S)
        if not done:
            raise Refused(f"run goes on {HANG_S:g} s after it was cancelled")
        with contextlib.suppress(asyncio.CancelledError):
            task.result()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(story())  # not asyncio.run, which waits for a service that does not end
    loop.close()


__all__ = ["auth_settings", "part_checks"]
