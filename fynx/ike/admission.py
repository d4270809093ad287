"""Whether a first message gets an SA at all: who may be meant, cookies, half-open limits (RFC 7296 section 2.6, RFC
8019)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from fynx.errors import Drop, Dropped
from fynx.ike.cookie import CookieJar
from fynx.ike.natd import packed
from fynx.ike.policy import Candidates, HostPolicy, Network, PeerPolicy
from fynx.plugin.auth import Identity
from fynx.plugin.crypto import Random
from fynx.plugin.transport import Path
from fynx.wire.header import Header
from fynx.wire.iana import NotifyType
from fynx.wire.payload import NoncePayload, NotifyPayload, Payload

PREFIX_SHARE = 4
"""How much more a whole IPv4 /24 may have half open than one of its addresses. Of IPv6 a /64 is one source."""
PRESSED, PRESSED_S = 50, 5.0
"""Half-open SAs, cookies or not, from which on each gets fewer seconds (RFC 8019 section 4.1)."""
FAILURES_OF_SOURCE, FAILURES_OF_IDENTITY = 20, 60
FAILURES_FORGIVEN_S = 60.0
REMEMBERED = 4096


class Peers:
    """Which peers an address may belong to, the most specific first."""

    def __init__(self, policies: tuple[PeerPolicy, ...]) -> None:
        self.by_name = {policy.name: policy for policy in policies}
        self._remotes: dict[str, tuple[Network, ...]] = {policy.name: policy.remote for policy in policies}
        self._hosts: dict[str, list[PeerPolicy]] = {}
        self._wide: list[PeerPolicy] = []
        self._found: dict[str, Candidates] = {}
        self._groups: dict[tuple[str, ...], Candidates] = {}
        self._sort()

    def resolved(self, name: str, remote: tuple[Network, ...]) -> None:
        """The addresses of a peer that the configuration names by DNS."""
        self._remotes[name] = remote
        self._sort()

    def follow(self, before: Peers) -> None:
        """Takes over the addresses that names had before, for peers that are configured alike."""
        for name, policy in self.by_name.items():
            old = before.by_name.get(name)
            if old is not None and old.remote == policy.remote:
                self._remotes[name] = before._remotes[name]
        self._sort()

    def at(self, address: str) -> Candidates:
        found = self._found.get(address)
        if found is None:
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            fitting = self._at(address)
            names = tuple(one.name for one in fitting)
            found = self._found[address] = self._groups.setdefault(names, Candidates(fitting))
        return found

    def _at(self, address: str) -> tuple[PeerPolicy, ...]:
        plain = address.partition("%")[0]
        exact = self._hosts.get(plain, [])
        if not self._wide:
            return tuple(exact)
        parsed = ip_address(plain)
        fitting = [(self._width(policy, parsed), policy) for policy in self._wide]
        wide = sorted((one for one in fitting if one[0] >= 0), key=lambda one: -one[0])
        return (*exact, *(policy for _, policy in wide if policy not in exact))

    def _sort(self) -> None:
        self._hosts, self._wide, self._found, self._groups = {}, [], {}, {}
        for name, policy in self.by_name.items():
            remote = self._remotes[name]
            for network in remote:
                if network.prefixlen == network.max_prefixlen:
                    self._hosts.setdefault(str(network.network_address), []).append(policy)
            if not remote or any(network.prefixlen < network.max_prefixlen for network in remote):
                self._wide.append(policy)

    def _width(self, policy: PeerPolicy, address: object) -> int:
        remote = self._remotes[policy.name]
        if not remote:
            return 0
        return max((network.prefixlen for network in remote if address in network), default=-1)


def first_header(header: Header) -> None:
    """Raises ``Dropped`` unless this is the header of an IKE_SA_INIT request (section 3.1)."""
    if not header.initiator:
        raise Dropped(Drop.FLAGS, "an IKE_SA_INIT request without the Initiator flag")
    if header.message_id != 0:
        raise Dropped(Drop.MESSAGE_ID, f"IKE_SA_INIT with message id {header.message_id}")
    if header.spi_r != bytes(8):
        raise Dropped(Drop.UNKNOWN_SPI, "a first message with a responder SPI")


@lru_cache(REMEMBERED)
def _counted_as(remote: str) -> tuple[tuple[str, int], ...]:
    """Under which names an address is counted, and how many times the limit each may have (RFC 8019 section 4.2)."""
    octets = packed(remote)
    if len(octets) == 16:
        return ((f"{octets[:8].hex(':', 2)}::/64", 1),)
    return (remote, 1), (f"{'.'.join(map(str, octets[:3]))}.0/24", PREFIX_SHARE)


@dataclass(slots=True)
class Bucket:
    """A token bucket: ``rate`` per second, ``size`` at once."""

    rate: float
    size: float
    level: float
    at: float = 0.0

    def take(self, now: float) -> bool:
        if not self.has(now):
            return False
        self.level -= 1
        return True

    def widen(self, size: float) -> None:
        """At least so many at once."""
        if size > self.size:
            self.level += size - self.size
            self.size = size

    def has(self, now: float) -> bool:
        self.level = min(self.size, self.level + (now - self.at) * self.rate)
        self.at = now
        return self.level >= 1


class Failures:
    """Failed authentications by source, or by the identity that was claimed: bounded, and forgiven after a while."""

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._known: dict[Hashable, tuple[int, float]] = {}

    def too_many(self, now: float, key: Hashable) -> bool:
        count, since = self._known.get(key, (0, now))
        return count >= self._allowed and now - since < FAILURES_FORGIVEN_S

    def add(self, now: float, key: Hashable) -> None:
        """The count starts anew when the first one is long ago."""
        count, since = self._known.get(key, (0, now))
        if now - since >= FAILURES_FORGIVEN_S:
            count, since = 0, now
        if len(self._known) >= REMEMBERED and key not in self._known:
            self._known.pop(next(iter(self._known)))
        self._known[key] = (count + 1, since)


class Admission:
    """Counts half-open SAs and failures by source, and asks for cookies when there are many."""

    def __init__(self, policy: HostPolicy, random: Random) -> None:
        self._policy = policy
        self._cookies = CookieJar(random)
        self._by_source: Counter[str] = Counter()
        self._sources, self._identities = Failures(FAILURES_OF_SOURCE), Failures(FAILURES_OF_IDENTITY)
        self._proved: dict[tuple[str, Identity], None] = {}
        self.half_open = 0
        self.replies = Bucket(rate=100.0, size=200.0, level=200.0)
        """Limits what is sent to addresses that have proved nothing (section 2.21.4)."""
        self.hints = Bucket(rate=10.0, size=20.0, level=20.0)
        """Limits the search for SAs that a hint may mean (section 2.4)."""

    def limits(self, policy: HostPolicy) -> None:
        """Other limits from now on; what is counted stays counted."""
        self._policy = policy

    def check(self, now: float, path: Path) -> None:
        """Raises ``Dropped`` when this source, or the host, has its share of half-open SAs or of failures."""
        if self.half_open >= self._policy.half_open_limit:
            raise Dropped(Drop.HALF_OPEN_LIMIT, "the host's limit")
        for source, share in _counted_as(path.remote):
            if self._by_source[source] >= self._policy.half_open_per_source * share:
                raise Dropped(Drop.HALF_OPEN_LIMIT, f"the limit of {source}")
        if self._sources.too_many(now, path.remote):
            raise Dropped(Drop.ADMISSION, "too many failed authentications from this source")

    def cookie(self, now: float, spi_i: bytes, path: Path, payloads: tuple[Payload, ...]) -> bytes | None:
        """None when the message may pass; else the cookie to ask for, without keeping any state."""
        if self.half_open < self._policy.cookie_threshold:
            return None
        nonce = next((one.data for one in payloads if isinstance(one, NoncePayload)), b"")
        source = packed(path.remote) + path.remote_port.to_bytes(2, "big")
        shown = next(
            (one.data for one in payloads if isinstance(one, NotifyPayload) and one.type == NotifyType.COOKIE), b""
        )
        if shown and self._cookies.check(now, shown, nonce, source, spi_i):
            return None
        return self._cookies.make(now, nonce, source, spi_i)

    def patience_s(self) -> float:
        """How long a half-open SA is kept. Who is behind so many has shown its address, and sends no IKE_AUTH."""
        pressed = self.half_open > max(self._policy.cookie_threshold, PRESSED)
        return min(self._policy.half_open_s, PRESSED_S) if pressed else self._policy.half_open_s

    def opened(self, source: str) -> None:
        self.half_open += 1
        self._by_source.update(name for name, _ in _counted_as(source))

    def closed(self, source: str) -> None:
        self.half_open -= 1
        for name, _ in _counted_as(source):
            self._by_source[name] -= 1
            if self._by_source[name] <= 0:
                del self._by_source[name]

    def failed(self, now: float, source: str) -> None:
        """An authentication failed."""
        self._sources.add(now, source)

    def may_try(self, now: float, source: str, identity: Identity) -> bool:
        """False while others guess at this identity's secret, however many addresses they have; an address that proved
        the identity before is let in all the same (RFC 8019 section 4.2)."""
        return (source, identity) in self._proved or not self._identities.too_many(now, identity)

    def tried(self, now: float, source: str, identity: Identity, *, proved: bool) -> None:
        if not proved:
            self._identities.add(now, identity)
            return
        if len(self._proved) >= REMEMBERED:
            self._proved.pop(next(iter(self._proved)))
        self._proved[source, identity] = None
