"""Checks of single texts and of whole records that types cannot express."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from fynx.config.address import ANY, local_address, remote_network, selector
from fynx.config.decode import NAME
from fynx.config.model import Child, IkeLifetime, Lifetime, Peer
from fynx.config.problems import Problems, Wrong
from fynx.config.proposal import parse_esp, parse_ike, remembering
from fynx.config.tree import Mark
from fynx.kernel.registry import Registry
from fynx.kernel.words import did_you_mean
from fynx.plugin.auth import Secret
from fynx.wire.identity import parse_identity

PSK_LEAST = 20
PSK_GOOD = 32


def text_checks(registry: Registry) -> Mapping[str, Callable[[str], object]]:
    """The checkers that ``Check`` marks in the model name. Each raises ``Wrong`` (or ValueError)."""
    return {
        "address": _address,
        "local_address": local_address,
        "selector": selector,
        "identity": _identity,
        "remote_id": lambda text: None if text == ANY else _identity(text),
        "ike": remembering(parse_ike, registry.algorithms),
        "esp": remembering(parse_esp, registry.algorithms),
        "provider": lambda text: _provider(text, registry),
        "name": _name,
    }


def record_checks(problems: Problems) -> Mapping[type, Callable[[object, str, Mark], None]]:
    """Checks over several fields of one record."""

    def run(check: Callable[[object], Iterator[tuple[str, Wrong]]]) -> Callable[[object, str, Mark], None]:
        def note(record: object, path: str, mark: Mark) -> None:
            for key, wrong in check(record):
                problems.error(str(wrong), path=f"{path}.{key}", mark=mark, remedy=wrong.remedy)

        return note

    return {Child: run(_child), Peer: run(_peer), Lifetime: run(_lifetime), IkeLifetime: run(_lifetime)}


def check_psk(section: object, path: str, mark: Mark, problems: Problems, *, weak: bool) -> None:
    """Length of a pre-shared key: under 20 octets an error unless ``weak`` allows it, under 32 a warning."""
    secret = getattr(section, "secret", None)
    if not isinstance(secret, Secret):
        return
    remedy = "fynx psk gen makes one of 32 octets"
    path = f"{path}.secret"
    if len(secret) < PSK_LEAST and not weak:
        what = f"this pre-shared key has {len(secret)} octets, fewer than {PSK_LEAST}: it can be guessed"
        problems.error(what, path=path, mark=mark, remedy=f"{remedy}; or allow_weak_psk: true beside remote and local")
    elif len(secret) < PSK_GOOD:
        what = f"this pre-shared key has {len(secret)} octets, fewer than {PSK_GOOD}"
        problems.warning(what, path=path, mark=mark, remedy=remedy)


def check_pinned(names: Sequence[str], registry: Registry) -> str:
    """Why the providers cannot be used as written; empty when they can."""
    if len(names) == 1 and not registry.ordered(names):
        loaded = ", ".join(provider.name for provider in registry.providers) or "none"
        return f"{names[0]!r} is pinned but found no library; providers that did: {loaded}"
    return ""


def _address(text: str) -> None:
    if text != ANY:
        remote_network(text)


def _identity(text: str) -> None:
    if text == ANY:
        raise Wrong("our own identity cannot be any", "write a DNS name, an e-mail address or an address")
    try:
        parse_identity(text)
    except ValueError as error:
        raise Wrong(str(error), "gw.example.net, user@example.net, 192.0.2.1 or keyid:office") from None


def _name(text: str) -> None:
    if not NAME.fullmatch(text):
        raise Wrong(f"{text[:64]!r} is no usable name", "letters, digits and _ . @ - only, at most 64")


def _provider(text: str, registry: Registry) -> None:
    known = [provider.name for provider in registry.providers]
    if text in known or text in registry.plugins:
        return
    loaded = ", ".join(known) or "none"
    raise Wrong(f"no loaded plugin is the provider {text[:64]!r}{did_you_mean(text, known)}", f"loaded: {loaded}")


def _child(record: object) -> Iterator[tuple[str, Wrong]]:
    assert isinstance(record, Child)
    if record.mode == "transport":
        yield "mode", Wrong("transport mode is not built yet", "write mode: tunnel")
    sides = [{len(selector(text).start) for text in side} for side in (record.local, record.remote)]
    if sides[0].isdisjoint(sides[1]):
        yield (
            "remote",
            Wrong("local and remote have no address family in common", "both IPv4, both IPv6, or both of each"),
        )


def _lifetime(record: object) -> Iterator[tuple[str, Wrong]]:
    """Soft comes before hard, where both are limits (RFC 4301 section 4.4.2.1); nothing is replaced in a storm."""
    for unit in ("s", "bytes", "packets"):
        soft, hard = getattr(record, f"soft_{unit}", 0), getattr(record, f"hard_{unit}", 0)
        if soft and hard and soft >= hard:
            yield f"soft_{unit}", Wrong(f"soft_{unit} is not below hard_{unit}", f"write a number below {hard:g}")


def _peer(record: object) -> Iterator[tuple[str, Wrong]]:
    assert isinstance(record, Peer)
    if not record.children and not record.childless:
        remedy = "children: {lan: {local: [10.1.0.0/16], remote: [10.0.0.0/8]}}, or childless: true"
        yield "children", Wrong("no Child SA is described, so no traffic would pass", remedy)
    if any("/" in text for text in record.remote.address) or ANY in record.remote.address:
        starts = [("start", record.start)] + [
            (f"children.{name}.start", child.start) for name, child in record.children.items()
        ]
        for key, start in starts:
            if start in ("initiate", "trap"):
                yield (
                    key,
                    Wrong(f"{start} needs an address to go to, and address is no single one", "write start: none"),
                )
    if ANY in record.remote.address and len(record.remote.address) > 1:
        yield "remote.address", Wrong("any and other addresses together", "write any alone, or the addresses alone")
