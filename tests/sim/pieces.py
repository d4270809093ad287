"""Fragments by hand, and messages that are long enough to need some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fynx.ike.fitting import IPV4_LEN, UDP_LEN
from fynx.ike.policy import HostPolicy
from fynx.plugin import Extension
from fynx.plugin.extension import Incoming, Outgoing, SaView, TaskSpec
from fynx.wire.header import HEADER_LEN, parse_header
from fynx.wire.iana import NotifyType, PayloadType
from fynx.wire.message import encode_payloads, parse_payloads
from fynx.wire.payload import FragmentPayload, NotifyPayload, Payload
from tests.sim.forge import AUTH, INFO, NONE, Bench, Clear, Script
from tests.sim.rig import peer_of_alice, peer_of_bob, policy

SUPPORTED = NotifyPayload(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED)
LONG = (NotifyPayload(40000, bytes(range(127)) * 8),)
"""An INFORMATIONAL that means nothing, in 1,024 octets."""


def policy_of(role: str, **changes: Any) -> HostPolicy:
    """Without liveness checks, so that only the test talks."""
    peer = peer_of_alice if role == "initiator" else peer_of_bob
    return policy(peer(**{"liveness_s": None, **changes}))


def agreed(role: str, **changes: Any) -> tuple[Bench, Script]:
    """An established SA whose two sides take fragments."""
    bench = Bench(role, policy_of(role, **changes))
    bench.script.extra = (SUPPORTED,)
    script = bench.established()
    script.received()
    return bench, script


def piece(
    script: Script,
    number: int,
    total: int,
    chunk: bytes,
    *,
    first: int = 0,
    exchange: int = INFO,
    message_id: int | None = None,
    response: bool = False,
    clear: Clear = NONE,
) -> bytes:
    """One fragment message of the script's next request, its numbers and next payload as they are given."""
    found = script.next_id if message_id is None else message_id
    header = script.header(exchange, found, response=response)
    numbers = number.to_bytes(2, "big") + total.to_bytes(2, "big")
    return script.protector.seal_raw(header, first, chunk, clear[1], clear[0], numbers)


def pieces(
    script: Script, total: int, payloads: Sequence[Payload] = LONG, *, clear: Clear = NONE, **changes: Any
) -> list[bytes]:
    """A whole message in ``total`` fragments."""
    first, plain = encode_payloads(payloads)
    step = -(-len(plain) // total)
    chunks = [plain[at : at + step] for at in range(0, len(plain), step)]
    assert len(chunks) == total
    return [
        piece(script, number, total, chunk, first=first if number == 1 else 0, clear=clear, **changes)
        for number, chunk in enumerate(chunks, start=1)
    ]


def kept(bench: Bench) -> int:
    """Octets of incomplete messages in the node."""
    return bench.node.endpoint.conversation.fragments.used


def numbers(message: bytes) -> tuple[int, int] | None:
    """(number, total) of a fragment message; None of any other."""
    header = parse_header(message)
    if header.next_payload != PayloadType.SKF:
        return None
    (skf,) = parse_payloads(header.next_payload, message[HEADER_LEN:])
    assert isinstance(skf, FragmentPayload)
    return skf.number, skf.total


def ip_size(message: bytes, *, encapsulated: bool = False) -> int:
    """Octets of the IPv4 datagram that carries the message."""
    return IPV4_LEN + UDP_LEN + (4 if encapsulated else 0) + len(message)


class _BulkTask:
    def __init__(self, request: int, response: int) -> None:
        self.request, self.response = request, response

    def build(self, out: Outgoing) -> None:
        size = self.response if out.response else self.request
        if size:
            out.add(NotifyPayload(40001, bytes(size)))

    def process(self, message: Incoming) -> None:
        del message


def bulk(request: int, response: int, exchange: int = AUTH) -> Extension:
    """Makes requests and responses of an exchange longer by so many octets, as certificates would."""

    def make(_: SaView, __: Mapping[str, object]) -> _BulkTask:
        return _BulkTask(request, response)

    return Extension("bulk", tasks=(TaskSpec("bulk", exchange, 900, make),))
