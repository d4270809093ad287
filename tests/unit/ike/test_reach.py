"""Many children of one peer: what is looked up in an index is what looking through all of them finds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from fynx.ike.child import ChildSa
from fynx.ike.children import FEW, Children
from fynx.ike.policy import ChildPolicy
from fynx.ike.reach import Reach
from fynx.ike.selectors import narrow
from fynx.ike.virtual import DYNAMIC
from fynx.plugin.dataplane import Selector


@st.composite
def selectors(draw: st.DrawFn) -> Selector:
    size, first = draw(st.sampled_from([4, 4, 16])), draw(st.integers(0, 60))
    last = first + draw(st.integers(0, 20))
    protocol = draw(st.sampled_from([0, 6, 17]))
    return Selector(first.to_bytes(size, "big"), last.to_bytes(size, "big"), protocol)


SIDES = st.lists(selectors(), min_size=1, max_size=2).map(tuple)


@st.composite
def policies(draw: st.DrawFn) -> tuple[ChildPolicy, ...]:
    many = draw(st.sampled_from([3, 60]))
    wide = draw(st.booleans())
    found = []
    for number in range(draw(st.integers(1, many))):
        remote = (Selector(bytes(4), b"\xff" * 4),) if wide else draw(SIDES)
        found.append(ChildPolicy(f"c{number}", draw(SIDES), remote, ()))
    return tuple(found)


@settings(max_examples=150)
@given(policies(), SIDES, SIDES)
def test_no_child_that_a_request_touches_is_passed_over(
    children: tuple[ChildPolicy, ...], local: tuple[Selector, ...], remote: tuple[Selector, ...]
) -> None:
    found = Reach(children).touched(local, remote)
    wanted = [at for at, one in enumerate(children) if narrow(local, one.local) and narrow(remote, one.remote)]
    assert set(wanted) <= set(found)
    assert found == sorted(found)


def test_a_request_for_one_of_many_networks_asks_one_child() -> None:
    many = tuple(
        ChildPolicy(
            f"c{n}", (Selector(bytes(4), b"\xff" * 4),), (Selector(bytes((10, 0, n, 0)), bytes((10, 0, n, 255))),), ()
        )
        for n in range(200)
    )
    asked = (Selector(bytes((10, 0, 7, 9)), bytes((10, 0, 7, 9))),)
    assert Reach(many).touched(asked, asked) == [7]


def test_children_whose_addresses_show_only_later_are_always_asked() -> None:
    net = (Selector(bytes((10, 0, 0, 0)), bytes((10, 0, 0, 255))),)
    other = (Selector(bytes((192, 0, 2, 0)), bytes((192, 0, 2, 255))),)
    leased, hosts = ChildPolicy("leased", net, (DYNAMIC,), ()), ChildPolicy("hosts", net, net, (), mode="transport")
    assert Reach((leased, hosts, ChildPolicy("net", net, net, ()))).touched(other, other) == [0, 1]


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from("iiipd"), st.integers(0, 40), st.integers(0, 5)), max_size=80))
def test_children_by_name_and_spi_are_those_that_are_there(steps: list[tuple[str, int, int]]) -> None:
    held, plain = Children(), dict[int, ChildSa]()
    for step, handle, name in steps:
        if step == "i" and handle not in plain:
            made = cast("ChildSa", SimpleNamespace(name=f"c{name}", spi_out=1000 + handle))
            held[handle] = plain[handle] = made
        elif step == "p":
            assert held.pop(handle, None) is plain.pop(handle, None)
        elif step == "d" and handle in plain:
            del held[handle], plain[handle]
    assert dict(held) == plain
    for name in range(6):
        assert held.named(f"c{name}") == [one for one in plain.values() if one.name == f"c{name}"]
    for handle in range(41):
        assert held.sends_with(1000 + handle) is (handle in plain)


def test_the_index_begins_when_there_are_many() -> None:
    held = Children()
    for handle in range(FEW + 2):
        held[handle] = cast("ChildSa", SimpleNamespace(name="net", spi_out=1000 + handle))
    assert [one.spi_out for one in held.named("net")] == [1000 + handle for handle in range(FEW + 2)]
