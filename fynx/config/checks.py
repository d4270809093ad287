"""Checks of single texts and of whole records that types cannot express."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from fynx.config.address import ANY, child_selector, local_address, octets_of, remote_network, selector
from fynx.config.decode import NAME
from fynx.config.model import Child, Dummies, IkeLifetime, Iptfs, Lifetime, Peer
from fynx.config.pools import plain_address, plain_network, pool_range, split_domain
from fynx.config.problems import Problems, Wrong
from fynx.config.proposal import parse_esp, parse_ike, remembering
from fynx.config.tree import Mark
from fynx.kernel.registry import Registry
from fynx.kernel.words import did_you_mean
from fynx.plugin.auth import Secret
from fynx.wire.identity import parse_identity

PSK_LEAST = 20
PSK_GOOD = 32
IDLE_LEAST_S = 10.0
SHORT_S = 60.0
"""A lifetime below this is for tests: two ends would hardly do anything but replace."""
SMALLEST_PAYLOAD, SMALLEST_DUMMY = 64, 20


def text_checks(registry: Registry) -> Mapping[str, Callable[[str], object]]:
    """The checkers that ``Check`` marks in the model name. Each raises ``Wrong`` (or ValueError)."""
    return {
        "address": _address,
        "local_address": local_address,
        "selector": selector,
        "child_selector": child_selector,
        "pool_range": pool_range,
        "plain_address": plain_address,
        "plain_network": plain_network,
        "domain": split_domain,
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
            for key, wrong in _short(record):
                problems.warning(str(wrong), path=f"{path}.{key}", mark=mark, remedy=wrong.remedy)

        return note

    return {
        Child: run(_child),
        Iptfs: run(_iptfs),
        Dummies: run(_dummies),
        Peer: run(_peer),
        Lifetime: run(_lifetime),
        IkeLifetime: run(_lifetime),
    }


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


def _iptfs(record: object) -> Iterator[tuple[str, Wrong]]:
    assert isinstance(record, Iptfs)
    if 0 < record.packet_size < SMALLEST_PAYLOAD:
        yield (
            "packet_size",
            Wrong(f"{record.packet_size} octets are no payload", "64 or more; 0 is what the path takes"),
        )


def _dummies(record: object) -> Iterator[tuple[str, Wrong]]:
    assert isinstance(record, Dummies)
    if 0 < record.size < SMALLEST_DUMMY:
        yield "size", Wrong(f"{record.size} octets are no packet", "20 or more; 0 is at random")


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
        yield from _hosts(record)
        if record.iptfs is not None:
            yield "iptfs", Wrong("aggregated payloads carry whole IP packets", "mode: tunnel; or leave iptfs out")
    if record.per_worker and record.single_pair:
        yield "per_worker", Wrong("each pair of addresses has its own Child SA already", "leave one of the two out")
    if record.iptfs is not None and record.dummies is not None:
        yield "dummies", Wrong("aggregated payloads have padding of their own", "iptfs: {rate: …}; or leave iptfs out")
    sides = [set(map(octets_of, side)) for side in (record.local, record.remote)]
    dynamic = any(0 in side for side in sides)
    if sides[0].isdisjoint(sides[1]) and not dynamic:
        yield (
            "remote",
            Wrong("local and remote have no address family in common", "both IPv4, both IPv6, or both of each"),
        )
    if 0 < record.inactivity_s < IDLE_LEAST_S:
        yield "inactivity_s", Wrong("a child is looked at every few seconds", f"write {IDLE_LEAST_S:g} or more, or 0")


def _hosts(child: Child) -> Iterator[tuple[str, Wrong]]:
    """Transport mode is between one address and one other (RFC 7296 section 2.23.1); which, may show only later."""
    for key in ("local", "remote"):
        for text in getattr(child, key):
            one = child_selector(text)
            if not one.start or (one.start != one.end and not _everything(text)):
                remedy = "write the host's own address, or 0.0.0.0/0 or ::/0 for whichever it is"
                yield key, Wrong(f"transport mode is between two hosts, and {text} is no single address", remedy)
                break


def _everything(text: str) -> bool:
    one = child_selector(text)
    return bool(one.start) and one.start == bytes(len(one.start)) and one.end == b"\xff" * len(one.end)


def _passive(key: str) -> str:
    return "on_dead: clear" if key == "on_dead" else f"{key.rpartition('.')[2]}: none"


def _lifetime(record: object) -> Iterator[tuple[str, Wrong]]:
    """Soft comes before hard, where both are limits (RFC 4301 section 4.4.2.1); nothing is replaced in a storm."""
    for unit in ("s", "bytes", "packets"):
        soft, hard = getattr(record, f"soft_{unit}", 0), getattr(record, f"hard_{unit}", 0)
        if soft and hard and soft >= hard:
            yield f"soft_{unit}", Wrong(f"soft_{unit} is not below hard_{unit}", f"write a number below {hard:g}")


def _short(record: object) -> Iterator[tuple[str, Wrong]]:
    """Times that make a storm of handshakes: RFC 4478 section 3 has minutes in mind. 0 and nothing are no limit."""
    for key in ("soft_s", "hard_s", "reauth_s"):
        seconds = getattr(record, key, None)
        if seconds and seconds < SHORT_S:
            what = f"{seconds:g} s is a time for tests: a connection would spend it on handshakes"
            yield key, Wrong(what, f"write {SHORT_S:g} or more")


def _peer(record: object) -> Iterator[tuple[str, Wrong]]:
    assert isinstance(record, Peer)
    if not record.children and not record.childless:
        remedy = "children: {lan: {local: [10.1.0.0/16], remote: [10.0.0.0/8]}}, or childless: true"
        yield "children", Wrong("no Child SA is described, so no traffic would pass", remedy)
    if any("/" in text for text in record.remote.address) or ANY in record.remote.address:
        starts: list[tuple[str, str | None]] = [("start", record.start)]
        starts += [(f"children.{name}.start", child.start) for name, child in record.children.items()]
        starts += [("on_dead", record.on_dead), ("on_close", record.on_close)]
        for key, start in starts:
            if start in ("initiate", "trap", "restart"):
                yield (
                    key,
                    Wrong(f"{start} needs an address to go to, and address is no single one", f"write {_passive(key)}"),
                )
    yield from _kept(record)
    yield from _leases(record)
    if ANY in record.remote.address and len(record.remote.address) > 1:
        yield "remote.address", Wrong("any and other addresses together", "write any alone, or the addresses alone")


def _kept(peer: Peer) -> Iterator[tuple[str, Wrong]]:
    """Everything cannot be kept for the one address of a peer that is known."""
    known = ANY not in peer.remote.address and not any("/" in text for text in peer.remote.address)
    for name, child in peer.children.items():
        if known and child.mode == "transport" and any(_everything(text) for text in child.remote):
            remedy = "write the peer's address in remote, as this host reaches it"
            yield f"children.{name}.remote", Wrong("traffic to all the world would wait for this one peer", remedy)


def _leases(peer: Peer) -> Iterator[tuple[str, Wrong]]:
    """Where the addresses of ``dynamic`` come from."""
    if peer.pool and peer.request:
        yield "request", Wrong("one side leases addresses, the other asks for them: not both", "write pool or request")
    asks = "ipv4" in peer.request or "ipv6" in peer.request
    for name, child in peer.children.items():
        for side, given, remedy in (
            ("local", asks, "request: [ipv4] in this peer"),
            ("remote", bool(peer.pool), "pool: NAME in this peer, with host: {pools: {NAME: {addresses: […]}}}"),
        ):
            if not given and not all(map(octets_of, getattr(child, side))):
                yield f"children.{name}.{side}", Wrong("nothing says where the address of dynamic comes from", remedy)
