"""Choosing one proposal, and checking the peer's choice (RFC 7296 sections 2.7, 3.3 and RFC 5282 section 8).

Our order of preference decides: first among our proposals, then among the transforms of one. A proposal is acceptable
when each transform type that either side names has a common transform; leaving a type out means NONE where NONE exists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from fynx.errors import PeerFault
from fynx.ike.protect import IkeSuite
from fynx.plugin.crypto import Algorithms, Cipher, Integ, KeyExchange, Prf
from fynx.plugin.dataplane import EspSuite
from fynx.record import record
from fynx.wire import iana
from fynx.wire.iana import NotifyType, Protocol, TransformType, name_of
from fynx.wire.proposal import KE_TYPES, Key, Options, Proposal, Transform, check_offer, transform

S = TypeVar("S", IkeSuite, EspSuite)
ESP_SPI_LEN = 4
MAX_COMPARED = 16
"""Proposals of a peer whose refusal is looked into for the sake of a good message."""


@record
class Choice(Generic[S]):
    """What was chosen. ``proposal`` has one transform per type and the peer's number and SPI; ``ke`` 0: no exchange."""

    proposal: Proposal
    suite: S
    ke: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing was chosen, in plain words, and what to change."""

    reason: str
    remedy: str


def choose_ike(
    offered: tuple[Proposal, ...], policy: tuple[Proposal, ...], algorithms: Algorithms, *, spi_len: int = 0
) -> Choice[IkeSuite] | Refusal:
    """For an IKE SA. ``spi_len`` is 0 in IKE_SA_INIT, 8 at a rekey; another size is INVALID_SYNTAX (section 3.3.1)."""
    check_offer(offered, spi_len)
    return _choose_ike(offered, policy, algorithms)


def _choose_ike(
    offered: tuple[Proposal, ...], policy: tuple[Proposal, ...], algorithms: Algorithms
) -> Choice[IkeSuite] | Refusal:
    for found in _common(offered, policy, Protocol.IKE, algorithms):
        suite = _ike_suite(found, algorithms)
        if suite:
            return Choice(found, suite, suite.ke.transform_id)
    return _refusal(offered, policy, Protocol.IKE, algorithms)


def choose_esp(
    offered: tuple[Proposal, ...], policy: tuple[Proposal, ...], algorithms: Algorithms, *, initial: bool = False
) -> Choice[EspSuite] | Refusal:
    """For a Child SA. ``initial``: in IKE_AUTH, without key exchange: ours are left out (section 1.2)."""
    check_offer(offered, ESP_SPI_LEN)
    ours = tuple(one.initial if initial else one.with_esn for one in policy)
    return _choose_esp(offered, ours, algorithms)


def _choose_esp(
    offered: tuple[Proposal, ...], policy: tuple[Proposal, ...], algorithms: Algorithms
) -> Choice[EspSuite] | Refusal:
    for found in _common(offered, policy, Protocol.ESP, algorithms):
        suite = _esp_suite(found, algorithms)
        if suite:
            return Choice(found, suite, _sole(found).get(TransformType.KE, 0))
    return _refusal(offered, policy, Protocol.ESP, algorithms)


def check_ike_answer(
    offered: tuple[Proposal, ...], answer: tuple[Proposal, ...], algorithms: Algorithms, *, spi_len: int = 0
) -> Choice[IkeSuite]:
    """The responder's choice, when it is one of ours; PeerFault(NO_PROPOSAL_CHOSEN) when it is not (section 2.7)."""
    _check_sole(answer, spi_len)
    return _granted(_choose_ike(answer, _numbered(offered, answer), algorithms))


def check_esp_answer(
    offered: tuple[Proposal, ...], answer: tuple[Proposal, ...], algorithms: Algorithms
) -> Choice[EspSuite]:
    """As ``check_ike_answer``, for a Child SA."""
    _check_sole(answer, ESP_SPI_LEN)
    return _granted(_choose_esp(answer, _numbered(offered, answer), algorithms))


def offer_ike(policy: tuple[Proposal, ...], spi: bytes = b"") -> tuple[Proposal, ...]:
    """Our proposals as they go out: numbered from 1, with ``spi`` (empty in IKE_SA_INIT)."""
    return tuple(Proposal(number, one.protocol, spi, one.transforms) for number, one in enumerate(policy, 1))


def offer_esp(policy: tuple[Proposal, ...], spi: bytes, *, initial: bool) -> tuple[Proposal, ...]:
    """As ``offer_ike``, for a Child SA. ``initial``: without key exchanges (section 1.2); ESN is always named."""
    return offer_ike(tuple(one.initial if initial else one.with_esn for one in policy), spi)


def describe(proposal: Proposal, algorithms: Algorithms) -> str:
    """``aes256gcm16-prfsha384-x25519``: in our notation, registry names for what no plugin offers."""
    words = [_word(one, algorithms) for kind in _WORD_ORDER for one in proposal.of_type(kind) if _telling(one)]
    return "-".join(words) or "nothing"


def _common(
    offered: tuple[Proposal, ...], policy: tuple[Proposal, ...], protocol: Protocol, algorithms: Algorithms
) -> Iterator[Proposal]:
    """All pairs that agree, ours first, each reduced to one transform per type."""
    relevant = [one for one in offered if one.protocol == protocol]
    for ours in policy:
        for theirs in relevant:
            chosen = _agreed(theirs.options, ours.options, algorithms)
            if chosen is not None:
                yield Proposal(theirs.number, theirs.protocol, theirs.spi, tuple(chosen))


def _agreed(theirs: Options, ours: Options, algorithms: Algorithms) -> list[Transform] | None:
    """One transform per type that they name; None when the two do not meet, at the first type that shows it."""
    chosen = []
    for kind, common in _meet(theirs, ours, algorithms):
        if common is None:
            return None
        if kind in theirs:
            chosen.append(common)
    return chosen


def _meet(theirs: Options, ours: Options, algorithms: Algorithms) -> Iterator[tuple[int, Transform | None]]:
    """Each type that either names, with the transform that both have."""
    aead = False
    for kind in sorted(theirs.keys() | ours.keys()):
        options, accepted = theirs.get(kind) or _absent(kind, theirs), ours.get(kind) or _absent(kind, ours)
        if kind == INTEG:
            options, accepted = _for_cipher(options, aead=aead), _for_cipher(accepted, aead=aead)
        common = next((options[key] for key in accepted if key in options), None)
        if kind == ENCR and common is not None:
            cipher = algorithms.cipher(common.id, common.key_bits)
            aead = bool(cipher and cipher.aead)
        yield kind, common


def _for_cipher(options: Mapping[Key, Transform], *, aead: bool) -> dict[Key, Transform]:
    """Integrity NONE goes with AEAD ciphers, and only with them (RFC 5282 section 8)."""
    return {key: one for key, one in options.items() if (one.id == 0) == aead}


def _absent(kind: int, named: Options) -> Mapping[Key, Transform]:
    """What leaving a type out means: NONE for integrity and key exchanges; nothing acceptable for the others.

    An absent ESN transform meant "with ESN" in RFC 4306 and is an error in RFC 7296: we do not guess.
    """
    if kind not in named and (kind == TransformType.INTEG or kind in KE_TYPES):
        return {(kind, 0, None): transform(kind, 0)}
    return {}


def _ike_suite(chosen: Proposal, algorithms: Algorithms) -> IkeSuite | None:
    """None when a mandatory type is missing, or an algorithm is not there or not for IKE (section 3.3.3)."""
    ids, cipher = _sole(chosen), _cipher_of(chosen, algorithms)
    prf = algorithms.prfs.get(ids.get(TransformType.PRF, 0))
    ke = algorithms.key_exchanges.get(ids.get(TransformType.KE, 0))
    integ = algorithms.integs.get(ids.get(TransformType.INTEG, 0))
    if cipher is None or not cipher.ike or prf is None or ke is None:
        return None
    if any(one and kind not in _IKE_TYPES for kind, one in ids.items()) or cipher.aead == (integ is not None):
        return None
    return IkeSuite(cipher, prf, integ, ke)


def _esp_suite(chosen: Proposal, algorithms: Algorithms) -> EspSuite | None:
    ids, cipher = _sole(chosen), _cipher_of(chosen, algorithms)
    integ_id = ids.get(TransformType.INTEG, 0)
    integ = algorithms.integs.get(integ_id)
    if cipher is None or not cipher.esp or TransformType.ESN not in ids:
        return None
    if any(one and kind not in _ESP_TYPES for kind, one in ids.items()) or cipher.aead == (integ is not None):
        return None
    bits = chosen.of_type(TransformType.ENCR)[0].key_bits or 0
    esn = ids[TransformType.ESN] == iana.Esn.ESN
    keyword = cipher.keyword + (f"-{integ.keyword}" if integ else "") + ("-esn" if esn else "")
    return EspSuite(encr_id=cipher.transform_id, key_bits=bits, integ_id=integ_id, esn=esn, keyword=keyword)


def _sole(chosen: Proposal) -> dict[int, int]:
    """The id of each type: one transform of each is left."""
    return {one.type: one.id for one in chosen.transforms}


def _cipher_of(chosen: Proposal, algorithms: Algorithms) -> Cipher | None:
    found = chosen.of_type(TransformType.ENCR)
    return algorithms.cipher(found[0].id, found[0].key_bits) if found else None


def _check_sole(answer: tuple[Proposal, ...], spi_len: int) -> None:
    """An answer is one proposal with one transform per type."""
    if len(answer) != 1:
        raise PeerFault(NotifyType.NO_PROPOSAL_CHOSEN, f"the peer answered with {len(answer)} proposals instead of one")
    kinds = [one.type for one in answer[0].transforms]
    if len(dict.fromkeys(kinds)) != len(kinds):
        raise PeerFault(NotifyType.NO_PROPOSAL_CHOSEN, "the peer chose two transforms of one type")
    if not all(one.acceptable for one in answer[0].transforms):
        raise PeerFault(NotifyType.NO_PROPOSAL_CHOSEN, "the peer's choice carries attributes that we did not offer")
    if len(answer[0].spi) != spi_len:
        raise PeerFault(NotifyType.INVALID_SYNTAX, f"the peer's choice has an SPI of {len(answer[0].spi)} octets")


def _numbered(offered: tuple[Proposal, ...], answer: tuple[Proposal, ...]) -> tuple[Proposal, ...]:
    return tuple(one for one in offered if one.number == answer[0].number)


def _granted(choice: Choice[S] | Refusal) -> Choice[S]:
    if isinstance(choice, Refusal):
        raise PeerFault(NotifyType.NO_PROPOSAL_CHOSEN, f"the peer chose what we did not offer: {choice.reason}")
    return choice


def _refusal(
    offered: tuple[Proposal, ...], policy: tuple[Proposal, ...], protocol: Protocol, algorithms: Algorithms
) -> Refusal:
    """Explains by the pair of proposals that came nearest to agreeing."""
    relevant = [proposal for proposal in offered if proposal.protocol == protocol][:MAX_COMPARED]
    if not relevant:
        return Refusal(f"the peer offered no {protocol.name} proposal", f"configure one for {protocol.name} there")
    if not policy:
        return Refusal(f"no {protocol.name} proposal is configured here", "add one to the configuration")
    misses = [
        (len(failed), failed, theirs, ours)
        for ours in policy
        for theirs in relevant
        if (failed := [kind for kind, common in _meet(theirs.options, ours.options, algorithms) if common is None])
    ]
    if not misses:
        return Refusal(
            f"the common {protocol.name} proposal lacks a mandatory transform, or no plugin here implements it",
            "see `fynx algorithms` for what this host offers",
        )
    _, failed, theirs, ours = min(misses, key=lambda miss: miss[0])
    kinds = ", ".join(_TYPE_NAMES.get(kind, f"transform type {kind}") for kind in failed)
    reason = (
        f"no common {kinds}: the peer offers {_some(theirs, failed, algorithms)}, "
        f"we accept {_some(ours, failed, algorithms)}"
    )
    wanted = describe(ours, algorithms)
    return Refusal(reason, f"let both sides have one proposal in common, for example {wanted}")


def _some(proposal: Proposal, kinds: list[int], algorithms: Algorithms) -> str:
    words = [_word(one, algorithms) for kind in kinds for one in proposal.of_type(kind)][:16]
    return ", ".join(words) or "none"


def _word(one: Transform, algorithms: Algorithms) -> str:
    known = _known(one, algorithms)
    if known is not None:
        return known.keyword
    registry = _REGISTRIES.get(one.type)
    name = name_of(registry, one.id) if registry else f"{one.type}/{one.id}"
    return f"{name}-{one.key_bits}" if one.key_bits is not None else name


def _known(one: Transform, algorithms: Algorithms) -> Cipher | Prf | Integ | KeyExchange | None:
    match one.type:
        case TransformType.ENCR:
            return algorithms.cipher(one.id, one.key_bits)
        case TransformType.PRF:
            return algorithms.prfs.get(one.id)
        case TransformType.INTEG:
            return algorithms.integs.get(one.id)
        case TransformType.KE:
            return algorithms.key_exchanges.get(one.id)
    return None


def _telling(one: Transform) -> bool:
    return bool(one.id) or one.type == TransformType.ENCR


ENCR, INTEG = int(TransformType.ENCR), int(TransformType.INTEG)
_IKE_TYPES = (TransformType.ENCR, TransformType.PRF, TransformType.INTEG, TransformType.KE)
_ESP_TYPES = (TransformType.ENCR, TransformType.INTEG, TransformType.KE, TransformType.ESN)
_WORD_ORDER = (1, 3, 2, 4, 6, 7, 8, 9, 10, 11, 12, 5)
_TYPE_NAMES = {1: "encryption", 2: "PRF", 3: "integrity", 4: "key exchange", 5: "sequence number (ESN) transform"}
_REGISTRIES = {1: iana.Encr, 2: iana.Prf, 3: iana.Integ, 4: iana.Ke, 5: iana.Esn}
