"""The stranger of ``benches.flood``: so many datagrams a second for so long, each from an address and SPI of its own.

``spoofed``: first messages whose answers nobody reads. ``prefix``: first messages of one /24 that come again with the
cookie that was asked for. ``esp``: ESP in UDP of SPIs that do not exist. It prints what it sent as a line of JSON.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from ipaddress import IPv4Address

from fynx.ike.natd import natd_notifies
from fynx.ike.negotiate import offer_ike
from fynx.kernel.loader import boot
from fynx.plugin import Path
from fynx.wire.header import HEADER_LEN, Header, parse_header
from fynx.wire.iana import ExchangeType, NotifyType
from fynx.wire.message import encode_message, parse_payloads
from fynx.wire.payload import KePayload, NoncePayload, NotifyPayload, Payload, SaPayload
from fynx.wire.proposal import Proposal, transform

FIRST = int(IPv4Address("198.18.0.0"))
SOURCES = {"spoofed": 1 << 17, "prefix": 1 << 8, "esp": 1 << 17}
PORT = 5500
STEP_S = 0.002
BUNDLE = 1 << 15
"""Different datagrams, made beforehand; then they come again."""
PKTINFO = 8
"""IP_PKTINFO, which Python 3.11 does not name."""


class Flood:
    def __init__(self, kind: str, target: str) -> None:
        self.kind, self.target = kind, target
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.IPPROTO_IP, PKTINFO, 1)
        self.socket.bind(("0.0.0.0", PORT))
        self.sent = self.answered = 0
        method = boot(["default"]).algorithms.key_exchanges[31]
        offered = Proposal(1, 1, b"", (transform(1, 20, 128), transform(2, 5), transform(4, 31)))
        self.fixed = (SaPayload(offer_ike((offered,))), KePayload(31, method.start(os.urandom).public))

    def datagram(self, number: int) -> bytes:
        if self.kind == "esp":
            return struct.pack("!II", 0x10000 + number * 7919 % 0xFFFEFFFF, 1) + bytes(64)
        return self.first(number)

    def first(self, number: int, cookie: bytes = b"") -> bytes:
        """The same number is the same initiator, as a cookie asks."""
        spi, nonce = struct.pack("!II", number + 1, 0x5EED), struct.pack("!I", number) * 8
        source = Path(self.address(number), PORT, self.target, 500)
        proof = (NotifyPayload(NotifyType.COOKIE, cookie),) if cookie else ()
        payloads: tuple[Payload, ...] = (*proof, *self.fixed, NoncePayload(nonce))
        header = Header(
            spi, bytes(8), 0, ExchangeType.IKE_SA_INIT, initiator=True, response=False, message_id=0, length=0
        )
        return encode_message(header, (*payloads, *natd_notifies(spi, bytes(8), source)))

    def address(self, number: int) -> str:
        return str(IPv4Address(FIRST + 1 + number % (SOURCES[self.kind] - 2)))

    def send(self, data: bytes, number: int) -> None:
        info = struct.pack("=I4s4s", 0, IPv4Address(self.address(number)).packed, bytes(4))
        port = 4500 if self.kind == "esp" else 500
        self.socket.sendmsg([data], [(socket.IPPROTO_IP, PKTINFO, info)], 0, (self.target, port))
        self.sent += 1

    def answer(self) -> None:
        """Cookies that came, back to where they came from."""
        while True:
            try:
                data = self.socket.recv(4096, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            header = parse_header(data)
            payloads = parse_payloads(header.next_payload, data[HEADER_LEN:])
            cookie = next((one.data for one in payloads if isinstance(one, NotifyPayload)), b"")
            number = int.from_bytes(header.spi_i[:4], "big") - 1
            if len(payloads) == 1 and cookie:
                self.send(self.first(number, cookie), number)
                self.answered += 1


def pace(rate: int, seconds: float, send: Callable[[int], None], between: Callable[[], None]) -> float:
    """So many a second, in small steps; what it falls behind by more than a tenth of a second is left out."""
    began = due = time.monotonic()
    number = 0
    while due < began + seconds:
        now = time.monotonic()
        due = max(due, now - 0.1)
        if due > now:
            time.sleep(due - now)
        for _ in range(max(1, round(rate * STEP_S))):
            send(number)
            number += 1
        due += max(1, round(rate * STEP_S)) / rate
        between()
    return time.monotonic() - began


def main(kind: str, rate: str, seconds: str, target: str) -> None:
    flood = Flood(kind, target)
    ready = [flood.datagram(number) for number in range(min(BUNDLE, int(rate) * int(seconds)))]
    print(flush=True)  # ready
    took = pace(
        int(rate),
        float(seconds),
        lambda number: flood.send(ready[number % len(ready)], number),
        flood.answer if kind == "prefix" else lambda: None,
    )
    print(json.dumps({"sent": flood.sent, "cookies": flood.answered, "seconds": took}))


if __name__ == "__main__":
    main(*sys.argv[1:5])
