"""Addresses, back-off and words: what stands between a configuration and the first datagram."""

from __future__ import annotations

import socket
import threading

import pytest

from fynx import events
from fynx.config import Remote
from fynx.logs import clean
from fynx.run.failures import HostError
from fynx.run.host import Host
from fynx.run.resolve import MOST, Resolver, sort_out, source_for
from fynx.run.words import describe
from fynx.wire.iana import ExchangeType
from fynx_plugins.memory import Switchboard
from tests.unit.run.pair import on_switchboard, pair, psk, registry, run


def test_addresses_are_sorted_by_kind() -> None:
    written = sort_out(("192.0.2.1", "2001:DB8::1", "192.0.2.0/24", "vpn.example.net", "any"))
    assert written.literals == ("192.0.2.1", "2001:db8::1")
    assert written.networks == ("192.0.2.0/24",)
    assert written.names == ("vpn.example.net",)
    assert written.anyone
    assert not sort_out(("any", "192.0.2.0/24")).callable


def answers(monkeypatch: pytest.MonkeyPatch, found: list[str] | OSError) -> None:
    def getaddrinfo(*_: object, **__: object) -> list[tuple[object, ...]]:
        if isinstance(found, OSError):
            raise found
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (address, 0)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_names_are_asked_again_capped_and_remembered_when_dns_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows L14 and L18."""

    async def test() -> None:
        resolver, written = Resolver(), sort_out(("192.0.2.1", "vpn.example.net"))
        answers(monkeypatch, [f"198.18.0.{number % 250}" for number in range(1000)])
        found = await resolver.addresses(written)
        assert len(found) == MOST + 1
        answers(monkeypatch, ["203.0.113.7"])
        assert await resolver.addresses(written) == ("192.0.2.1", "203.0.113.7")
        answers(monkeypatch, OSError("no server"))
        assert await resolver.addresses(written) == ("192.0.2.1", "203.0.113.7")

    run(test)


def test_a_name_server_that_hangs_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row L14: and not the end of the program either: the name server has not answered by then."""
    release, answered = threading.Event(), threading.Event()

    def hangs(*_: object, **__: object) -> list[object]:
        release.wait(30)
        answered.set()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hangs)

    async def test() -> None:
        resolver = Resolver({"vpn.example.net": ("192.0.2.7",)}, wait_s=0.05)
        assert await resolver.addresses(sort_out(("vpn.example.net",))) == ("192.0.2.7",)

    run(test)
    assert not answered.is_set()
    release.set()


def test_each_attempt_takes_the_address_that_the_name_has_then(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        network = Switchboard()
        remote = Remote(address=("vpn.example.net",), id="right.test", auth=psk())
        answers(monkeypatch, ["192.0.2.9"])
        left = Host(on_switchboard("left", network, remote=remote), registry())
        right = Host(on_switchboard("right", network), registry())
        await right.start()
        await left.start()
        with pytest.raises(Exception, match=r"192\.0\.2\.9"):
            await left.up("right")
        answers(monkeypatch, ["192.0.2.2"])
        await left.up("right")
        await left.stop()
        await right.stop()

    run(test)


def test_a_name_that_does_not_resolve_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        answers(monkeypatch, OSError("no server"))
        remote = Remote(address=("vpn.example.net",), id="right.test", auth=psk())
        left = Host(on_switchboard("left", Switchboard(), remote=remote), registry())
        await left.start()
        with pytest.raises(HostError, match=r"vpn\.example\.net does not resolve") as caught:
            await left.up("right")
        assert caught.value.remedy == "getent ahosts vpn.example.net"
        await left.stop()

    run(test)


def test_what_is_asked_of_a_peer_and_is_no_child_has_no_name() -> None:
    """A child may be called "None"."""

    async def test() -> None:
        async with pair() as both:
            await both.left.up("right")
            (sa,) = both.left.driver.endpoint.sas.values()
            sa.start(ExchangeType.INFORMATIONAL, liveness=True)
            assert both.left.children_asked("right") == frozenset()
            sa.start(ExchangeType.CREATE_CHILD_SA, child="None")
            assert both.left.children_asked("right") == {"None"}

    run(test)


def test_the_source_is_what_the_system_would_take() -> None:
    assert source_for("127.0.0.1", 500, 0) == "127.0.0.1"
    assert source_for("255.255.255.255", 500, 0) == ""


def test_foreign_text_cannot_forge_lines_of_a_log() -> None:
    """Row L5."""
    nasty = "a\r\nroot: all is well\x1b[2J\x00\u202eexe"
    line = describe(events.IkeUp("hq", "", "", "192.0.2.1:500", "", nasty, "suite", 0.01))
    assert line.isprintable()
    assert len(clean("x" * 1000)) == 256


EXAMPLES = [
    events.HandshakeStarted("hq", "initiator", "192.0.2.1:500"),
    events.HandshakeFailed("hq", "192.0.2.1:500", "NO_PROPOSAL_CHOSEN", "nothing in common", "offer more"),
    events.IkeUp("hq", "11", "22", "192.0.2.1:4500", "a", "b", "suite", 0.012),
    events.IkeDown("hq", "11", "22", "deleted by us"),
    events.ChildUp("hq", "net", "1", "2", "aes", "10.1.0.0/16", "10.2.0.0/16"),
    events.ChildDown("hq", "net", "1", "2", "deleted"),
    events.ChildRekeyed("hq", "net", "1", "3", "4", True),
    events.IkeRekeyed("hq", "1", "2", "3", "4", False),
    events.ChildRefused("hq", "net", "TS_UNACCEPTABLE", "no selectors in common", "widen them"),
    events.Retransmitted("hq", "IKE_SA_INIT", 0, 2),
    events.PeerDead("hq", 5),
    events.NatDetected("hq", True, True),
    events.PathChanged("hq", "a", "b"),
    events.NotifyReceived("hq", "INITIAL_CONTACT", ""),
    events.SequenceExhausted("hq", "net", "2"),
    events.PluginFailed("hq", "acme", "fynx_event", "boom"),
]


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_every_event_for_people_is_one_line_that_names_the_peer(event: events.Event) -> None:
    line = describe(event)
    assert line.startswith("hq: ")
    assert "\n" not in line


def test_a_long_reason_does_not_push_the_remedy_out_of_the_line() -> None:
    failed = events.HandshakeFailed("hq", "192.0.2.1:500", "NO_PROPOSAL_CHOSEN", "no common " + "x" * 500, "do this")
    line = describe(failed)
    assert line.endswith("… (FYNX-1004); try: do this")
    assert len(line) < 400


@pytest.mark.parametrize(
    ("notify", "reason", "code"),
    [
        ("AUTHENTICATION_FAILED", "keys differ", 2001),
        ("TS_UNACCEPTABLE", "no networks", 1005),
        ("INVALID_SYNTAX", "garbled", 1001),
        ("TEMPORARY_FAILURE", "not now", 3001),
        ("", "no answer from 192.0.2.1:500 after 6 attempts", 5002),
        ("", "an internal error", 9001),
    ],
)
def test_a_refusal_in_the_log_has_its_code_and_a_next_step_although_nobody_gave_one(
    notify: str, reason: str, code: int
) -> None:
    for event in (
        events.HandshakeFailed("hq", "192.0.2.1:500", notify, reason, ""),
        events.ChildRefused("hq", "net", notify, reason, ""),
    ):
        said, _, remedy = describe(event).partition(f" (FYNX-{code}); try: ")
        assert reason in said
        assert len(remedy) > 20
