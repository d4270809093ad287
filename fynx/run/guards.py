"""Which protected selectors are kept closed, and when they may open again (interfaces: fail closed).

A guard goes only where an administrator asked for the tunnel's end and the peer confirmed it, or where he said
``--leave-open``. Everything else (a crash, a dead peer, a peer that deletes) leaves it standing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from fynx.config.model import Config
from fynx.ike.policy import ChildPolicy, HostPolicy, PeerPolicy
from fynx.plugin.dataplane import Plane, Policy, Selector
from fynx.run.policy import static_policies
from fynx.run.pools import pool_blocks
from fynx.run.resolve import sort_out
from fynx.run.standing import Standing

CHILD_PRIORITY = 1000
"""Priority of the PROTECT policies of children: after the static policies of the configuration (100 by default)."""

Key = tuple[str, str]


@dataclass(slots=True)
class Guards:
    """Told of every Child SA that comes and goes; keeps the plane's guards in step."""

    config: Config
    policy: HostPolicy
    plane: Plane
    alive: Callable[[str, int], bool]
    """Whether a peer's Child SA of this handle belongs to an IKE SA; one that was replaced lingers without."""
    closing: set[Key] = field(default_factory=set)
    """Whose end an administrator asked for: peer and child, the child empty for all of the peer."""
    _static: dict[Key, tuple[Selector, ...]] = field(default_factory=dict)
    _standing: dict[Key, set[int]] = field(default_factory=dict)
    _brought: set[Key] = field(default_factory=set)
    """Closed because a peer brought these addresses: they stand in no configuration."""
    _open: set[Key] = field(default_factory=set)
    """Static ones that an administrator ended: no policy protects them until someone wants them again."""
    _silent: set[Key] = field(default_factory=set)
    """Whose end an administrator asked for, and somebody did not confirm: of several peers all must."""

    def begin(self, adopted: Iterable[Key]) -> None:
        """Closes what the configuration protects; gives up adopted guards of peers that it no longer knows, and those
        of single addresses whose pool is closed now."""
        self._static = self._fixed_ones()
        for key, remote in self._static.items():
            self._keep(key, remote, closed=True)
        self._brought.update(key for key in adopted if key not in self._static)
        self._let_go()
        self._tell()

    def change(self, config: Config, policy: HostPolicy) -> None:
        """Another configuration: what it protects is closed, what it no longer protects opens."""
        self.config, self.policy = config, policy
        before, self._static = self._static, self._fixed_ones()
        for key, remote in self._static.items():
            if before.get(key) != remote and key not in self._open:
                self._keep(key, remote, closed=True)
        for key in before.keys() - self._static.keys():
            if self._known(key) and self._stands(key) and key not in self._open:
                self._brought.add(key)  # in use: closed until it has gone
                continue
            self._open.discard(key)
            self._keep(key, (), closed=False)
        self._silent &= self._static.keys()
        self._brought -= self._static.keys()
        self._let_go()
        self._tell()

    def installed(self, child: Standing) -> None:
        key = self._key(child)
        self._standing.setdefault(key, set()).add(child.handle)
        self.closing -= {(child.peer, ""), (child.peer, child.child)}
        self._silent.discard(key)
        if key not in self._static:
            self._brought.add(key)
            self._keep(key, child.remote_ts, closed=True)
        elif key in self._open:
            self._close((key,))

    def removed(self, child: Standing, *, confirmed: bool) -> None:
        """Opens what this was the last SA of, when the peer confirmed and nobody wants it back."""
        key = self._under(child)
        left = self._standing.get(key, set())
        left.discard(child.handle)
        if not left:
            self._standing.pop(key, None)
        asked = bool(self.closing & {(child.peer, ""), (child.peer, child.child)})
        if asked and not confirmed and key in self._static:
            self._silent.add(key)
        if not confirmed or self._stands(key):
            return
        if key not in self._static:
            self._give_up((key,))
        elif asked and key not in self._silent:
            self._release((key,))

    def close_again(self, peer: str) -> None:
        """An administrator wants this peer after all: its selectors are closed before the first message goes out."""
        self.closing = {key for key in self.closing if key[0] != peer}
        self._close([key for key in self._open if key[0] == peer])

    def open(self, peer: str, child: str = "") -> None:
        """``--leave-open``: the administrator accepts that this traffic goes in clear."""
        self._give_up([key for key in self._brought if key[0] == peer and child in ("", _of_child(key)[1])])
        self._release(self._of(peer, child))

    def is_open(self, peer: str, child: str = "") -> bool:
        """Whether nothing of this peer is kept closed any longer."""
        standing = any(self._stands(key) for key in self._standing if key[0] == peer)
        if any(key[0] == peer and child in ("", _of_child(key)[1]) for key in self._brought):
            return False
        return (bool(child) or not standing) and self._open.issuperset(self._of(peer, child))

    def _stands(self, key: Key) -> bool:
        return any(self.alive(key[0], handle) for handle in self._standing.get(key, ()))

    def _of(self, peer: str, child: str) -> list[Key]:
        return [key for key in self._static if key[0] == peer and child in ("", key[1])]

    def _close(self, keys: Iterable[Key]) -> None:
        for key in tuple(keys):
            self._open.discard(key)
            self._keep(key, self._static[key], closed=True)
        self._tell()

    def _let_go(self) -> None:
        """Of brought addresses those of peers that are known no more, and those whose child is closed as a whole."""
        self._give_up([key for key in self._brought if not self._known(key) or _of_child(key) in self._static])

    def _give_up(self, brought: Iterable[Key]) -> None:
        for key in brought:
            self._brought.discard(key)
            self._keep(key, (), closed=False)

    def _release(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._open.add(key)
            self._keep(key, (), closed=False)
        self._tell()

    def _tell(self) -> None:
        """Gives the plane the whole SPD that is not made of SAs."""
        found = [*static_policies(self.config)]
        for peer in self.policy.peers:
            for child in peer.children:
                key = (peer.name, child.name)
                if key in self._static and key not in self._open and _caught(child):
                    found.append(Policy("protect", _near(child), self._static[key], CHILD_PRIORITY, *key))
        self.plane.policies(found)

    def _keep(self, key: Key, remote: Sequence[Selector], *, closed: bool) -> None:
        if self.config.kill_switch or not closed:
            self.plane.keep_closed(key[0], key[1], remote, closed=closed)

    def _fixed_ones(self) -> dict[Key, tuple[Selector, ...]]:
        found = {
            (peer.name, child.name): self._fixed(peer, child) for peer in self.policy.peers for child in peer.children
        }
        return {key: remote for key, remote in found.items() if remote}

    def _fixed(self, peer: PeerPolicy, child: ChildPolicy) -> tuple[Selector, ...]:
        """The remote selectors, the whole pool in place of leased addresses: whoever has one may come back to it.

        None for road warriors who may bring any address: what they get is closed when they get it.
        """
        remote, configured = _written(child.remote), self.config.peers[peer.name]
        if len(remote) < len(child.remote) and peer.pool in self.config.host.pools:
            remote += pool_blocks(self.config.host.pools[peer.pool])
        anyone = sort_out(configured.remote.address).anyone
        everything = any(selector.start == bytes(len(selector.start)) for selector in remote)
        return () if anyone and everything else remote

    def _key(self, child: Standing) -> Key:
        if (child.peer, child.child) in self._static:
            return child.peer, child.child
        remote = "+".join(f"{each.start.hex()}-{each.end.hex()}" for each in child.remote_ts)
        return child.peer, f"{child.child} {remote}"

    def _under(self, child: Standing) -> Key:
        """The key that it was installed under; a reload may have changed whose addresses are configured."""
        whole = child.peer, child.child
        return whole if child.handle in self._standing.get(whole, ()) else self._key(child)

    def _known(self, key: Key) -> bool:
        peer = self.config.peers.get(key[0])
        return peer is not None and _of_child(key)[1] in peer.children


def _of_child(key: Key) -> Key:
    """The key of the child whose addresses stand behind its name."""
    return key[0], key[1].partition(" ")[0]


def _written(selectors: tuple[Selector, ...]) -> tuple[Selector, ...]:
    """Without those that stand for leased addresses."""
    return tuple(one for one in selectors if one.start)


def _caught(child: ChildPolicy) -> bool:
    """Where the peer is to lease us an address no packet can come for us yet, and the guard stops what would leave:
    only a trap has to see it."""
    return child.start == "trap" or all(one.start for one in child.local)


def _near(child: ChildPolicy) -> tuple[Selector, ...]:
    """Our side; all of a family that the child reaches where the peer is to lease us an address."""
    sizes = sorted({len(selector.start) for selector in _written(child.remote)})
    found: list[Selector] = []
    for one in child.local:
        found += [one] if one.start else [replace(one, start=bytes(n), end=b"\xff" * n) for n in sizes]
    return tuple(found)
