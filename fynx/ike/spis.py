"""IKE SAs by our own SPI, in each role (RFC 7296 sections 2.6, 3.1)."""

from __future__ import annotations

from fynx.ike.conversation import INIT, NO_SPI
from fynx.ike.sa import IkeSa
from fynx.plugin.crypto import Random
from fynx.wire.header import Header

SPI_LEN = 8


class Spis:
    """Two tables: SPIs that we chose as initiator, and as responder. The same octets may stand in both."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._initiators: dict[bytes, IkeSa] = {}
        self._responders: dict[bytes, IkeSa] = {}

    def fresh(self, *, initiator: bool) -> bytes:
        """8 octets, never zero, that no SA of ours has in this role."""
        taken = self._initiators if initiator else self._responders
        while (spi := self._random(SPI_LEN)) in taken or spi == NO_SPI:
            pass
        return spi

    def put(self, sa: IkeSa) -> None:
        (self._initiators if sa.initiator else self._responders)[sa.spi_own] = sa

    def remove(self, sa: IkeSa) -> None:
        (self._initiators if sa.initiator else self._responders).pop(sa.spi_own, None)

    def began(self, spi_i: bytes) -> bool:
        """Whether a first message with this SPI is our own."""
        return spi_i in self._initiators

    def find(self, header: Header) -> IkeSa | None:
        """By our own SPI: the flag says whether the sender made the first one (section 3.1)."""
        if header.initiator:
            sa = self._responders.get(header.spi_r)
            return sa if sa is not None and sa.spi_i == header.spi_i else None
        sa = self._initiators.get(header.spi_i)
        if sa is None or (sa.spi_r != header.spi_r and not (header.exchange == INIT and sa.spi_r == NO_SPI)):
            return None
        return sa

    def lives(self, spi_i: bytes, spi_r: bytes) -> bool:
        """Whether an IKE SA with these SPIs exists here, in whichever role."""
        ours, theirs = self._initiators.get(spi_i), self._responders.get(spi_r)
        return (ours is not None and ours.spi_r == spi_r) or (theirs is not None and theirs.spi_i == spi_i)
