"""Checks of PRFs, integrity algorithms and key exchanges."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from fynx.plugin.crypto import Integ, KeyExchange, Prf
from fynx.plugin.selftest import flip, stream
from fynx.testing.kit.subject import Check, Refused, Subject, must_refuse
from fynx.testing.kit.vectors import INTEGS, PRFS, mac_vectors


def algorithm_checks(subject: Subject) -> Iterator[Check]:
    mine, algorithms = set(subject.owned("keyword")), subject.registry.algorithms
    macs: list[Prf | Integ] = [*algorithms.prfs.values(), *algorithms.integs.values()]
    for one in macs:
        if one.keyword in mine:
            yield Check(f"{one.keyword}: known answers", partial(_mac_answers, subject, one))
            yield Check(f"{one.keyword}: lengths, and every octet counts", partial(_mac, one))
    for method in algorithms.key_exchanges.values():
        if method.keyword in mine:
            yield Check(f"{method.keyword}: known answers", partial(_answered, subject))
            yield Check(f"{method.keyword}: both sides agree", partial(_agree, method))
            yield Check(f"{method.keyword}: wrong values", partial(_wrong_values, method))
            yield Check(f"{method.keyword}: randomness", partial(_randomness, method))


def _answered(subject: Subject) -> None:
    if not subject.answered:
        raise Refused("nothing proves the algorithm: give fynx_selftest()")


def _mac_answers(subject: Subject, one: Prf | Integ) -> None:
    """Whole tags of Wycheproof, cut as the algorithm cuts them."""
    algorithm = subject.vectors.get(one.keyword) or (PRFS if isinstance(one, Prf) else INTEGS).get(one.transform_id)
    known = tuple(mac_vectors(algorithm, one)) if algorithm else ()
    for each in known:
        made = one.mac(each.key, each.data)
        if not made or made != each.tag[: len(made)]:
            raise Refused(f"Wycheproof {algorithm} {each.number}: the known answer differs")
    if not known:
        _answered(subject)


def _mac(one: Prf | Integ) -> None:
    length = one.out_len if isinstance(one, Prf) else one.icv_len
    key = stream(one.key_len, b"key")
    for size in (0, 1, 64, 1000):
        data = stream(size, b"data")
        made = one.mac(key, data)
        if len(made) != length:
            raise Refused(f"gives {len(made)} octets, declares {length}")
        if made != one.mac(key, data):
            raise Refused("the same input gives another output")
        for place in (0, size - 1) if size else ():
            if one.mac(key, flip(data, place)) == made:
                raise Refused(f"octet {place} of the data has no effect")
    if one.mac(flip(key, 0), b"data") == one.mac(key, b"data"):
        raise Refused("the key has no effect")


class Source:
    """Randomness that repeats, and counts what is taken."""

    def __init__(self, label: bytes) -> None:
        self._label, self.taken = label, 0

    def __call__(self, count: int) -> bytes:
        self.taken += count
        return stream(count, self._label + self.taken.to_bytes(4, "big"))


def _agree(method: KeyExchange) -> None:
    offer = method.start(Source(b"one"))
    public, shared = method.answer(offer.public, Source(b"two"))
    if len(offer.public) != method.initiator_len or len(public) != method.responder_len:
        raise Refused("a public value has another length than initiator_len or responder_len says")
    if offer.finish(public) != shared or not shared:
        raise Refused("the two sides do not get the same secret")


def _wrong_values(method: KeyExchange) -> None:
    offer = method.start(Source(b"one"))
    good, _ = method.answer(offer.public, Source(b"two"))
    calls: list[tuple[str, Callable[[], object]]] = []
    for what, bad in (("one octet less", good[:-1]), ("one octet more", good + b"\0"), ("nothing", b"")):
        calls.append((f"the responder's value with {what}", partial(offer.finish, bad)))
    for what, bad in (("one octet less", offer.public[:-1]), ("nothing", b"")):
        calls.append((f"the initiator's value with {what}", partial(method.answer, bad, Source(b"two"))))
    for what, call in calls:
        must_refuse(what, call)


def _randomness(method: KeyExchange) -> None:
    """Only what is injected, so that a simulation repeats itself, and fresh for each exchange."""
    first, again, other = (method.start(Source(label)).public for label in (b"one", b"one", b"other"))
    source = Source(b"one")
    method.start(source)
    if not source.taken:
        raise Refused("takes no octet of the randomness that it is given")
    if first != again:
        raise Refused("takes randomness from elsewhere: the same source gives another value")
    if first == other:
        raise Refused("another source gives the same value")


__all__ = ["algorithm_checks"]
