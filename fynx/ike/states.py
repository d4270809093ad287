"""The transition tables of IKE SA and Child SA, and the only writer of ``.state`` (RFC 7296 sections 1.2 to 1.4).

The rules: every transition of the program stands here; this file does not know which role we play in an exchange.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol, TypeVar

from fynx.errors import StateError


class IkeState(Enum):
    IDLE = "idle"
    INIT_SENT = "init_sent"
    INIT_DONE = "init_done"
    AUTH_SENT = "auth_sent"
    ESTABLISHED = "established"
    REKEYING = "rekeying"
    DELETING = "deleting"
    DELETED = "deleted"


class IkeEvent(Enum):
    SEND_INIT = "send_init"
    ANSWER_INIT = "answer_init"
    RECEIVE_INIT = "receive_init"
    SEND_AUTH = "send_auth"
    AUTHENTICATED = "authenticated"
    SEND_DELETE = "send_delete"
    START_REKEY = "start_rekey"
    REKEY_FAILED = "rekey_failed"
    INHERIT = "inherit"
    GONE = "gone"


IKE_TRANSITIONS: dict[tuple[IkeState, IkeEvent], IkeState] = {
    (IkeState.IDLE, IkeEvent.SEND_INIT): IkeState.INIT_SENT,
    (IkeState.INIT_SENT, IkeEvent.SEND_INIT): IkeState.INIT_SENT,
    (IkeState.INIT_SENT, IkeEvent.RECEIVE_INIT): IkeState.INIT_DONE,
    (IkeState.IDLE, IkeEvent.ANSWER_INIT): IkeState.INIT_DONE,
    (IkeState.INIT_DONE, IkeEvent.SEND_AUTH): IkeState.AUTH_SENT,
    (IkeState.AUTH_SENT, IkeEvent.AUTHENTICATED): IkeState.ESTABLISHED,
    (IkeState.INIT_DONE, IkeEvent.AUTHENTICATED): IkeState.ESTABLISHED,
    (IkeState.ESTABLISHED, IkeEvent.SEND_DELETE): IkeState.DELETING,
    (IkeState.ESTABLISHED, IkeEvent.START_REKEY): IkeState.REKEYING,
    (IkeState.REKEYING, IkeEvent.REKEY_FAILED): IkeState.ESTABLISHED,
    (IkeState.REKEYING, IkeEvent.SEND_DELETE): IkeState.DELETING,
    (IkeState.IDLE, IkeEvent.INHERIT): IkeState.ESTABLISHED,
    **{(state, IkeEvent.GONE): IkeState.DELETED for state in IkeState if state is not IkeState.DELETED},
}


class ChildState(Enum):
    CREATED = "created"
    ACTIVE = "active"
    REKEYING = "rekeying"
    REKEYED = "rekeyed"
    EXPIRED = "expired"
    DELETING = "deleting"
    DELETED = "deleted"


class ChildEvent(Enum):
    INSTALLED = "installed"
    LIMIT = "limit"
    START_REKEY = "start_rekey"
    REKEY_FAILED = "rekey_failed"
    REPLACED = "replaced"
    SEND_DELETE = "send_delete"
    GONE = "gone"


CHILD_TRANSITIONS: dict[tuple[ChildState, ChildEvent], ChildState] = {
    (ChildState.CREATED, ChildEvent.INSTALLED): ChildState.ACTIVE,
    (ChildState.ACTIVE, ChildEvent.START_REKEY): ChildState.REKEYING,
    (ChildState.REKEYING, ChildEvent.REKEY_FAILED): ChildState.ACTIVE,
    (ChildState.REKEYING, ChildEvent.REPLACED): ChildState.REKEYED,
    (ChildState.ACTIVE, ChildEvent.REPLACED): ChildState.REKEYED,
    (ChildState.ACTIVE, ChildEvent.LIMIT): ChildState.EXPIRED,
    (ChildState.REKEYING, ChildEvent.LIMIT): ChildState.EXPIRED,
    (ChildState.REKEYED, ChildEvent.LIMIT): ChildState.EXPIRED,
    (ChildState.REKEYED, ChildEvent.SEND_DELETE): ChildState.DELETING,
    (ChildState.ACTIVE, ChildEvent.SEND_DELETE): ChildState.DELETING,
    (ChildState.EXPIRED, ChildEvent.SEND_DELETE): ChildState.DELETING,
    (ChildState.ACTIVE, ChildEvent.GONE): ChildState.DELETED,
    (ChildState.REKEYING, ChildEvent.GONE): ChildState.DELETED,
    (ChildState.REKEYED, ChildEvent.GONE): ChildState.DELETED,
    (ChildState.EXPIRED, ChildEvent.GONE): ChildState.DELETED,
    (ChildState.DELETING, ChildEvent.GONE): ChildState.DELETED,
}

ESTABLISHED = (IkeState.ESTABLISHED, IkeState.REKEYING)
"""States in which an IKE SA may carry exchanges of its own (ST3)."""

_State = TypeVar("_State", bound=Enum)
_Event = TypeVar("_Event", bound=Enum)


class _Record(Protocol[_State]):
    state: _State


def advance(record: _Record[_State], event: _Event, table: dict[tuple[_State, _Event], _State]) -> _State:
    """Moves ``record`` and returns the state before; raises ``StateError`` where the table has no such move."""
    before = record.state
    after = table.get((before, event))
    if after is None:
        raise StateError(f"{event.value} is not possible in state {before.value}")
    record.state = after
    return before
