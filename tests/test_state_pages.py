"""docs/states.md is made from the transition tables of the program."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path

from fynx.ike import states
from fynx.ike.states import CHILD_TRANSITIONS, IKE_TRANSITIONS, ChildState, IkeState

PAGE = Path(__file__).resolve().parent.parent / "docs/states.md"
HEAD = """# States

From the tables in `fynx/ike/states.py`, the only place where a state changes. An event that a table does not name for a
state is a `StateError`.
"""
Table = Mapping[tuple[Enum, Enum], Enum]


def states_page() -> str:
    """The page as it must be; ``FYNX_UPDATE_DOCS=1 ./run test tests/test_state_pages.py`` writes it."""
    parts = [HEAD]
    for title, kind, table in (("IKE SA", IkeState, IKE_TRANSITIONS), ("Child SA", ChildState, CHILD_TRANSITIONS)):
        parts += [f"## {title}\n", "```mermaid\nstateDiagram-v2", *diagram(kind, table), "```\n", *rows(table), ""]
    return "\n".join(parts).rstrip() + "\n"


def diagram(kind: type[Enum], table: Table) -> Iterator[str]:
    """Moves between the same two states share an arrow."""
    first, *_, last = kind
    yield f"    [*] --> {first.value}"
    arrows: dict[tuple[Enum, Enum], list[str]] = {}
    for (before, event), after in table.items():
        arrows.setdefault((before, after), []).append(event.value)
    for (before, after), events in arrows.items():
        yield f"    {before.value} --> {after.value}: {', '.join(events)}"
    yield f"    {last.value} --> [*]"


def rows(table: Table) -> Iterator[str]:
    yield "| In state | on | becomes |"
    yield "|---|---|---|"
    for (before, event), after in table.items():
        yield f"| {before.value} | {event.value} | {after.value} |"


def test_the_page_of_states_is_that_of_the_tables() -> None:
    if os.environ.get("FYNX_UPDATE_DOCS"):
        PAGE.write_text(states_page())
    assert PAGE.read_text() == states_page()


def test_every_state_can_be_reached_and_left_but_the_last() -> None:
    for kind, table in ((IkeState, IKE_TRANSITIONS), (ChildState, CHILD_TRANSITIONS)):
        first, *_, last = kind
        assert {first, *table.values()} == set(kind)
        assert {before for before, _ in table} == set(kind) - {last}


def test_every_event_of_the_program_stands_in_a_table() -> None:
    assert {event for _, event in IKE_TRANSITIONS} == set(states.IkeEvent)
    assert {event for _, event in CHILD_TRANSITIONS} == set(states.ChildEvent)
