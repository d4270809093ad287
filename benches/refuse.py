"""CPU milliseconds from an offer of IKE_SA_INIT to its refusal: what a stranger costs (RFC 7296, 3.3)."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import fynx
from benches.result import RUNS, Result
from fynx.errors import PeerFault
from fynx.ike.negotiate import choose_ike
from fynx.kernel.loader import boot
from fynx.wire.proposal import MAX_PROPOSALS, Proposal, Transform, encode_proposals, parse_proposals, transform

REPEATS = 20


def run() -> Result:
    """One row for each case; a run is the mean of some repeats."""
    algorithms = boot(["default"]).algorithms
    allowed = tuple(
        Proposal(number, 1, b"", (transform(1, 20, 256), transform(2, 5), transform(4, group)))
        for number, group in enumerate((31, 19, 14, 20), 1)
    )

    def refuse(body: bytes) -> None:
        try:
            choose_ike(parse_proposals(body), allowed, algorithms)
        except PeerFault:
            return

    result = Result("refuse")
    for case, body in offers().items():
        values = [milliseconds(partial(refuse, body)) for _ in range(RUNS)]
        result.add(case, "fynx", fynx.__version__, values, "ms CPU")
    return result


def offers() -> dict[str, bytes]:
    """``transforms-x-proposals``; the last is the dearest of those small enough to be looked at."""
    aes, prf = transform(1, 20, 256), transform(2, 5)
    return {
        "255x31": encode_proposals(offer([transform(1 + n % 4, 2000 + n) for n in range(255)], 31)),
        "24x255": encode_proposals(offer([transform(1 + n % 4, 2000 + n) for n in range(24)], 255)),
        "255x1": encode_proposals(offer([transform(1, 2000 + n) for n in range(255)], 1)),
        "4x64": encode_proposals(offer([aes, prf, transform(4, 2000), transform(4, 2001)], MAX_PROPOSALS)),
    }


def offer(transforms: list[Transform], proposals: int) -> list[Proposal]:
    return [Proposal(number, 1, b"", tuple(transforms)) for number in range(1, proposals + 1)]


def milliseconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(REPEATS):
        work()
    return (time.process_time() - began) / REPEATS * 1000
