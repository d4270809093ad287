"""Authentication methods (RFC 7296 section 2.15) as plugins give them, and the context they sign."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Protocol

from fynx.record import record
from fynx.wire.identity import show


class Secret:
    """Octets that never show: no repr, no str, no equality that leaks; ``reveal()`` is the only way in."""

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes) -> None:
        self._octets = bytearray(octets)

    def reveal(self) -> bytes:
        return bytes(self._octets)

    def wipe(self) -> None:
        for index in range(len(self._octets)):
            self._octets[index] = 0

    def __len__(self) -> int:
        return len(self._octets)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")


@record
class Identity:
    """An identity of RFC 7296 section 3.5: the ID type and its octets."""

    id_type: int
    data: bytes

    def __str__(self) -> str:
        return show(self.id_type, self.data)


@record
class AuthContext:
    """What an AUTH value is computed over (RFC 7296 section 2.15).

    ``signed_octets`` is RealMessage | Nonce | prf(SK_p, RestOfID); ``prf`` is the negotiated function; ``config`` is
    the
    ``auth`` section of that side, as the method's own dataclass. ``method_id`` and ``value`` are empty when signing.
    """

    signed_octets: bytes = field(repr=False)
    prf: Callable[[bytes, bytes], bytes]
    identity: Identity
    config: object
    method_id: int = 0
    value: bytes = field(default=b"", repr=False)


@record
class AuthValue:
    """The AUTH payload to send: method id of RFC 7296 section 3.8 and the data."""

    method_id: int
    data: bytes


class AuthMethod(Protocol):
    """One way to prove an identity. Runs as Work, outside the protocol core; may take milliseconds, must not block
    on I/O."""

    @property
    def name(self) -> str: ...

    @property
    def method_ids(self) -> tuple[int, ...]: ...

    def sign(self, context: AuthContext) -> AuthValue: ...

    def verify(self, context: AuthContext) -> None:
        """Returns when the proof holds; raises ``AuthFailed`` otherwise."""
        ...


AuthMethods = Mapping[str, AuthMethod]
"""By name as in the configuration (``auth: {psk: …}``)."""


@record
class AuthorizeRequest:
    """What ``fynx_authorize`` decides on: an authenticated peer, before its SA is established."""

    peer: str
    remote: str
    identity: str
    methods: tuple[str, ...] = field(default=())
