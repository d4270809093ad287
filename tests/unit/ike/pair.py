"""Two endpoints joined by a perfect wire, with the real algorithm plugins and work done at once."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from types import MappingProxyType
from typing import Any

from fynx.errors import FynxError
from fynx.events import Event
from fynx.ike.effects import Ask, Effect, Emit, Initiate, Transmit
from fynx.ike.endpoint import Endpoint
from fynx.ike.policy import AuthPolicy, ChildPolicy, HostPolicy, PeerPolicy
from fynx.ike.tasks import CORE
from fynx.kernel.loader import boot
from fynx.kernel.registry import Registry
from fynx.plugin import ChildSpec, Extension, Identity, Path, Secret, Selector
from fynx.plugin.work import Authorize, InstallChild, KexAnswer, KexFinish, KexStart, ReserveSpi, Sign, Verify, Work
from fynx.wire.proposal import Proposal, transform
from fynx_plugins.psk import PskConfig

PLUGINS = ("aes_gcm", "hmac_sha2", "x25519", "ecp", "psk")
LEFT, RIGHT = "192.0.2.1", "192.0.2.2"
IKE = (Proposal(1, 1, b"", (transform(1, 20, 256), transform(2, 6), transform(4, 31))),)
ESP = (Proposal(1, 3, b"", (transform(1, 20, 128),)),)


def selector(network: str) -> Selector:
    parsed = ip_network(network)
    return Selector(parsed.network_address.packed, parsed.broadcast_address.packed)


def peer(name: str, ids: tuple[bytes, bytes], nets: tuple[str, str], remote: str, psk: bytes = b"s" * 32) -> PeerPolicy:
    auth = AuthPolicy("psk", PskConfig(secret=Secret(psk)))
    child = ChildPolicy("net", (selector(nets[0]),), (selector(nets[1]),), ESP)
    own, other = (Identity(2, one) for one in ids)
    return PeerPolicy(name, (ip_network(remote),), own, other, auth, auth, IKE, (child,))


def changed(policy: PeerPolicy, changes: Mapping[str, object]) -> PeerPolicy:
    """``children`` counts how many are kept; ``aggregation`` and ``resources`` are theirs."""
    kept = dict(changes)
    theirs: dict[str, Any] = {name: kept.pop(name) for name in ("aggregation", "resources") if name in kept}
    policy = replace(policy, children=tuple(replace(one, **theirs) for one in policy.children))
    if "children" in kept:
        kept["children"] = policy.children[: int(str(kept["children"]))]
    return replace(policy, **kept)  # type: ignore[arg-type]


@dataclass
class Side:
    endpoint: Endpoint
    registry: Registry
    events: list[Event] = field(default_factory=list)
    installed: dict[int, ChildSpec] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)

    def work(self, work: Work) -> object:
        found = self.registry
        try:
            match work:
                case KexStart():
                    return found.algorithms.key_exchanges[work.method].start(self.endpoint.random)
                case KexFinish():
                    return work.offer.finish(work.peer)
                case KexAnswer():
                    return found.algorithms.key_exchanges[work.method].answer(work.peer, self.endpoint.random)
                case Sign():
                    return found.auth_methods[work.method].sign(work.context)
                case Verify():
                    return found.auth_methods[work.method].verify(work.context)
                case Authorize():
                    return True
                case ReserveSpi():
                    return int.from_bytes(self.endpoint.random(3), "big") + 256
                case InstallChild():
                    self.installed[work.child.spi_in] = work.child
                    return None
        except FynxError as error:
            return error


class Pair:
    """``left`` initiates to ``right``; ``settle`` runs until nothing moves."""

    def __init__(
        self,
        *,
        plugins: tuple[str, ...] = PLUGINS,
        extra: tuple[Extension, ...] = (),
        left: Mapping[str, object] = MappingProxyType({}),
        right: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        registry = boot(plugins)
        extensions = (CORE, *registry.extensions, *extra)
        dials = peer("right", (b"left.test", b"right.test"), ("198.51.100.0/25", "203.0.113.0/25"), f"{RIGHT}/32")
        answers = peer("left", (b"right.test", b"left.test"), ("203.0.113.0/25", "198.51.100.0/25"), f"{LEFT}/32")
        self.left, self.right = (
            Side(Endpoint(HostPolicy((one,)), registry.algorithms, extensions, random.Random(seed).randbytes), registry)
            for seed, one in ((1, changed(dials, left)), (2, changed(answers, right)))
        )
        self.now = 0.0

    def up(self) -> None:
        self.left.endpoint.command(self.now, Initiate("right", Path(LEFT, 500, RIGHT, 500)))
        self.settle()

    def settle(self) -> None:
        moved = True
        while moved:
            moved = self._drain(self.left, self.right) | self._drain(self.right, self.left)

    def _drain(self, side: Side, other: Side) -> bool:
        moved = False
        for effect in side.endpoint.effects():
            moved = True
            side.effects.append(effect)
            match effect:
                case Ask():
                    side.endpoint.answer(self.now, effect.ticket, side.work(effect.work))
                case Transmit():
                    path = effect.path
                    back = Path(path.remote, path.remote_port, path.local, path.local_port)
                    other.endpoint.datagram(self.now, back, effect.data)
                case Emit():
                    side.events.append(effect.event)
        return moved
