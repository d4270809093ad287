"""One IKE SA: its identity, keys, path, children and the exchanges that wait (RFC 7296 section 2)."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from fynx.errors import StateError
from fynx.events import Event, IkeStateChanged
from fynx.ike.admission import Bucket
from fynx.ike.child import ChildSa
from fynx.ike.children import Children
from fynx.ike.effects import Effect, Emit, ReleaseSpi
from fynx.ike.fitting import Fragmenting
from fynx.ike.keymat import IkeKeys
from fynx.ike.natd import NatStatus
from fynx.ike.policy import Candidates, HostPolicy, PeerPolicy
from fynx.ike.protect import IkeSuite, Protector
from fynx.ike.states import ESTABLISHED, IKE_TRANSITIONS, IkeEvent, IkeState, advance
from fynx.ike.timers import Timer
from fynx.ike.virtual import Virtual
from fynx.ike.window import HalfOpenKey, Window
from fynx.plugin.auth import Identity
from fynx.plugin.crypto import Algorithms, Offer
from fynx.plugin.dataplane import Selector
from fynx.plugin.extension import Role
from fynx.plugin.transport import Path
from fynx.wire.header import Header
from fynx.wire.proposal import Proposal

if TYPE_CHECKING:
    from fynx.ike.exchange import Exchange


class Services(Protocol):
    """What an IKE SA and its tasks may ask of the endpoint they live in."""

    @property
    def policy(self) -> HostPolicy: ...

    @property
    def algorithms(self) -> Algorithms: ...

    @property
    def now(self) -> float: ...

    @property
    def workers(self) -> int:
        """Of the data plane, each of which may have a Child SA of its own."""
        ...

    def random(self, count: int) -> bytes: ...

    def effect(self, effect: Effect) -> None: ...

    def next_handle(self) -> int: ...

    def candidates(self, path: Path) -> Candidates:
        """Peers whose address fits, the most specific first."""
        ...

    def may_try(self, sa: IkeSa, identity: Identity) -> bool:
        """Whether the peer's proof is looked at: not while there are too many wrong ones for that identity."""
        ...

    def tried(self, sa: IkeSa, identity: Identity, *, proved: bool) -> None: ...

    def siblings(self, sa: IkeSa) -> tuple[IkeSa, ...]:
        """Other established IKE SAs between the same two authenticated identities."""
        ...

    def authenticating(self, peer: str) -> tuple[IkeSa, ...]:
        """IKE SAs of ours with that peer that wait for the answer to their IKE_AUTH."""
        ...

    def drop(self, sa: IkeSa, reason: str, *, confirmed: bool = False) -> None:
        """Forgets the SA and removes its children, without a word to the peer."""
        ...

    def supersede(self, sa: IkeSa) -> None:
        """Deletes the SA in a moment, unless its peer, which may be authenticating again, does so first."""
        ...

    def retire(self, child: ChildSa, *, confirmed: bool, linger: bool) -> None:
        """Takes a Child SA out of the plane; ``linger``: only after what is in flight has arrived."""
        ...

    def put_off(self, timer: Timer, number: int) -> None:
        """Lets a soft limit come again in a few, random seconds (section 2.25)."""
        ...

    def fresh_spi(self, *, initiator: bool) -> bytes: ...

    def inherit(self, old: IkeSa, spi_i: bytes, spi_r: bytes, *, initiator: bool) -> IkeSa:
        """A new IKE SA between the same two, without keys and children yet."""
        ...

    def rekeyed(self, old: IkeSa, successor: Successor) -> None:
        """Our rekey of ``old`` stands: children move, unless the peer's own rekey wins (RFC 7296 section 2.8.2)."""
        ...

    def not_rekeyed(self, old: IkeSa) -> bool:
        """Our rekey of ``old`` was refused; whether the peer's own takes its place."""
        ...

    def chosen(self, new: IkeSa) -> None:
        """The peer uses an SA that it made by a rekey: so it stands, whatever becomes of ours."""
        ...

    def offered(self, old: IkeSa, new: IkeSa) -> None:
        """We answered the peer's rekey of ``old``: children move, unless ours is under way too."""
        ...


@dataclass(slots=True, repr=False)
class InitState:
    """What IKE_SA_INIT leaves behind for AUTH: both nonces and both messages (section 2.15), and its retries."""

    ni: bytes = b""
    nr: bytes = b""
    request: bytes = b""
    response: bytes = b""
    proposal: Proposal | None = None
    accepted: tuple[Proposal, ...] = ()
    """The proposals of ours, as responder, among which it was."""
    method: int = 0
    offer: Offer | None = None
    cookie: bytes = b""
    cookies_seen: int = 0
    methods_changed: int = 0
    half_open: HalfOpenKey | None = None


@dataclass(frozen=True, slots=True)
class Successor:
    """An IKE SA made to replace another: and the lower of the nonces it was made with (section 2.8.2)."""

    sa: IkeSa
    low: bytes


@dataclass(slots=True)
class Failure:
    """Why this SA did not come up, in plain words, with the notification that goes with it."""

    notify: str
    reason: str
    remedy: str = ""


def _quota() -> Bucket:
    return Bucket(rate=10.0, size=600.0, level=600.0)


def _patience() -> Bucket:
    return Bucket(rate=5 / 60, size=5.0, level=5.0)


def _requests() -> Bucket:
    return Bucket(rate=200.0, size=4000.0, level=4000.0)


@dataclass(slots=True, eq=False)
class IkeSa:
    serial: int
    role: Role
    services: Services
    path: Path
    spi_i: bytes
    spi_r: bytes
    policies: Candidates
    """The peer's policy once it is known; before that, as responder, all that fit. Changed by ``belongs_to`` alone."""
    started_at: float
    state: IkeState = IkeState.IDLE
    init: InitState = field(default_factory=InitState)
    window: Window = field(default_factory=Window)
    exchanges: dict[int, Exchange] = field(default_factory=dict)
    """Ours that wait for their response, by message id."""
    queue: deque[tuple[int, Mapping[str, object]]] = field(default_factory=deque)
    suite: IkeSuite | None = None
    keys: IkeKeys | None = None
    protector: Protector | None = None
    nat: NatStatus | None = None
    fragmenting: Fragmenting = field(default_factory=Fragmenting)
    local_id: Identity | None = None
    remote_id: Identity | None = None
    children: Children = field(default_factory=Children)
    reserved: dict[int, None] = field(default_factory=dict)
    """ESP SPIs that the plane keeps for children under way."""
    deleted_early: dict[bytes, None] = field(default_factory=dict)
    """ESP SPIs that the peer deleted while our request waits: its answer, on the way, may still bring them."""
    wanted: tuple[str, ...] = ()
    asked_at: float = 0.0
    """When our IKE_AUTH request went out; this and the next go on through rekeys."""
    authenticated_at: float | None = None
    established_at: float | None = None
    heard_at: float = 0.0
    hinted_at: float | None = None
    failure: Failure | None = None
    notes: dict[str, object] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)
    closing: str = ""
    """Set by a task: drop this SA, for this reason, once the message under way is out."""
    cause: str = ""
    """Why it ends, as in ``events.IkeDown``."""
    crash_token: bytes = field(default=b"", repr=False)
    """With it the peer can prove that it lost this SA (RFC 6290)."""
    packets: dict[str, tuple[Selector, Selector]] = field(default_factory=dict)
    """The packet that asked for a child, by name: our side and the peer's (section 2.9)."""
    put_off: list[Mapping[str, object]] = field(default_factory=list)
    """Options of requests for children that the peer could not have now: they are sent again (section 2.25)."""
    forgotten: list[int] = field(default_factory=list)
    """Handles of children that the peer no longer knows: to be made anew (section 2.25)."""
    replaces: IkeSa | None = None
    """The IKE SA that this one authenticates anew."""
    successor: IkeSa | None = None
    """The IKE SA that took over the children, or that won against this one: this one waits for its DELETE."""
    heir_of: IkeSa | None = None
    """The peer made this SA to replace that one, and our own rekey of that one is under way: undecided."""
    rival: Successor | None = None
    """The peer's rekey of this SA, answered while ours was under way, or instead of ours."""
    refused: int = 0
    """Rekeys of this SA that the peer put off, one after the other."""
    quota: Bucket = field(default_factory=_quota)
    """What the peer may ask of CREATE_CHILD_SA in a short time."""
    forged: Bucket = field(default_factory=_patience)
    """Messages that do not verify which are looked at before the peer has authenticated (RFC 8019 section 4.6)."""
    requests: Bucket = field(default_factory=_requests)
    """What the peer may ask at all in a short time; the rest comes again."""
    working: bool = False
    """A message of this SA, ours or the peer's, is between its steps: others wait their turn."""
    virtual: Virtual | None = None
    """What a Configuration payload brought, to either side (section 2.19)."""
    deferred: deque[tuple[Header, Path, bytes]] = field(default_factory=deque)
    """Messages that came meanwhile."""
    begun: tuple[bytes, bool] = field(init=False)
    """SPIi of the handshake that authenticated the two, and whether it was ours; a rekey changes neither."""
    initiator: bool = field(init=False)
    peer: str = field(init=False)
    """Its name; empty as long as several policies fit."""

    def __post_init__(self) -> None:
        self.belongs_to(self.policies)
        self.initiator = self.role == "initiator"
        self.begun = self.spi_i, self.initiator

    def belongs_to(self, policies: Candidates) -> None:
        self.policies = policies
        self.peer = policies[0].name if len(policies) == 1 else ""

    @property
    def policy(self) -> PeerPolicy:
        if len(self.policies) != 1:
            raise StateError("the peer is not known yet")
        return self.policies[0]

    @property
    def exchange(self) -> Exchange | None:
        """The oldest of ours under way."""
        return next(iter(self.exchanges.values()), None)

    @property
    def established(self) -> bool:
        return self.state in ESTABLISHED

    @property
    def spi_own(self) -> bytes:
        return self.spi_i if self.initiator else self.spi_r

    def advance(self, event: IkeEvent) -> None:
        before = advance(self, event, IKE_TRANSITIONS)
        if before is not self.state:
            self.emit(IkeStateChanged(self.peer, self.spi_i.hex(), self.spi_r.hex(), before.value, self.state.value))

    def emit(self, event: Event) -> None:
        self.services.effect(Emit(event))

    def random(self, count: int) -> bytes:
        return self.services.random(count)

    def start(self, exchange: int, **options: object) -> None:
        """Queues an exchange; it goes out when the window is free (section 2.3)."""
        self.queue.append((exchange, options))

    def release(self, spi: int) -> None:
        """Gives back an SPI for which no child was made; once."""
        if spi in self.reserved:
            del self.reserved[spi]
            self.services.effect(ReleaseSpi(spi))

    def child_of(self, name: str) -> ChildSa | None:
        """The one that stands for all its traffic."""
        named = (child for child in self.children.named(name) if child.current)
        return next((child for child in named if not child.resource), None)

    def asks(self, name: str, resource: int = 0) -> bool:
        """A request for a child of that name (of that worker alone) waits: for its turn, for its response, or to be
        sent again."""
        waiting = [options for options in self._waiting() if options.get("child") == name]
        return any(not resource or options.get("resource") == resource for options in waiting)

    def asked(self) -> set[object]:
        """Names of all children for which ``asks`` holds."""
        return {options.get("child") for options in self._waiting()}

    def _waiting(self) -> list[Mapping[str, object]]:
        waiting = [options for _, options in self.queue] + [one.options for one in self.exchanges.values()]
        return [*waiting, *self.put_off]

    def wipe(self) -> None:
        if self.keys is not None:
            self.keys.wipe()
        self.keys = self.protector = None
        self.init = InitState()
