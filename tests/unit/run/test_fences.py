"""Plugins that hang, raise or lie while tunnels run (row L13): named, counted, fenced, and the tunnels stay up."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from fynx.errors import AuthFailed, CryptoError, FynxError, PluginError
from fynx.esp.choose import Chooser
from fynx.kernel import loader
from fynx.kernel.limit import Overtime, within
from fynx.kernel.notify import Listener, Notify
from fynx.kernel.registry import PluginInfo
from fynx.plugin import Algorithms, AuthContext, AuthValue, Cipher, Datagram, EspSuite, Identity, Path
from fynx.plugin.work import Sign, Verify
from fynx.run import foreign
from fynx.run.foreign import Foreign, foreign_owner
from fynx.run.host import Host
from fynx.run.ports import FencedPort
from fynx.run.services import serve
from fynx.run.watched import Watched
from fynx_plugins.memory import Switchboard
from tests.unit.kernel.conftest import site  # noqa: F401  the fixture
from tests.unit.kernel.site import HEAD, Site
from tests.unit.run.foreign import LIMIT_S, of_acme
from tests.unit.run.pair import on_switchboard, packet, plane, registry, run, soon


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hangs, hangs here until the test is over."""
    event = threading.Event()
    yield event
    event.set()


async def carries(left: Host, right: Host) -> bool:
    plane(left).send_inner([packet()])
    got: list[bytes] = []
    await soon(lambda: got.extend(plane(right).recv_inner()) or got)
    return got == [packet()]


async def two_hosts(notify: Notify) -> tuple[Host, Host]:
    network = Switchboard()
    guarded = replace(registry(), notify=notify)
    left = Host(on_switchboard("left", network), guarded)
    right = Host(on_switchboard("right", network), registry())
    await left.start()
    await right.start()
    return left, right


def test_a_listener_that_hangs_is_named_and_the_tunnel_comes_up_and_carries(
    gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[object] = []
    hung = Listener("hung", "acme 1.0", lambda _: gate.wait(60))
    notify = Notify([hung, Listener("good", "acme 1.0", heard.append)])

    async def story() -> None:
        left, right = await two_hosts(notify)
        try:
            await left.up("right")
            assert await carries(left, right)
        finally:
            await left.stop()
            await right.stop()

    run(story)
    assert "plugin hung (acme 1.0): fynx_event has not returned yet; all else goes on without it" in caplog.text
    assert notify.counters()["hung.fynx_event.hung"] == 1
    eventually(lambda: len(heard) >= 2)


def test_news_for_a_listener_that_hangs_is_bounded_and_the_loss_is_counted(gate: threading.Event) -> None:
    from fynx.events import NatDetected
    from fynx.kernel.mailbox import ROOM

    began = threading.Event()
    notify = Notify([Listener("hung", "acme 1.0", lambda _: began.set() or gate.wait(60))])
    event = NatDetected("hq", local=True, remote=False)
    notify.event(event)
    assert began.wait(60)
    for _ in range(ROOM + 9):
        notify.event(event)
    assert notify.counters()["hung.fynx_event.lost"] == 9


def test_a_call_at_boot_that_hangs_is_given_up(gate: threading.Event) -> None:
    with pytest.raises(Overtime, match=r"did not return within 0\.01 s"):
        within(0.01, lambda: gate.wait(60))


def test_an_import_that_hangs_is_a_named_error(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr("fynx.kernel.fence.BOOT_S", 0.05)
    modules = site.install("acme", hung="import threading\nGATE = threading.Event()\nGATE.wait(5)\n" + HEAD)
    assert modules
    with pytest.raises(PluginError, match=r"plugin 'hung' .*acme 1\.2.*cannot be imported: it did not return within"):
        loader.boot(["hung"])


class Method:
    name, method_ids = "acme", (230,)

    def __init__(self, gate: threading.Event) -> None:
        self._gate = gate

    def sign(self, context: AuthContext) -> AuthValue:
        self._gate.wait(60)
        return AuthValue(230, b"")

    def verify(self, context: AuthContext) -> None:
        raise AuthFailed("never")


CONTEXT = AuthContext(b"octets", lambda key, data: data, Identity(2, b"x"), None)


def with_method(gate: threading.Event) -> Any:
    """The registry with an authentication method of another distribution."""
    usual = registry()
    owners = {**usual.owners, ("auth method", "acme"): "acme"}
    plugins = {**usual.plugins, "acme": PluginInfo("acme", "acme-dist", "1", "acme")}
    return replace(usual, auth_methods={"acme": Method(gate)}, owners=owners, plugins=plugins)


def test_a_signature_that_hangs_ends_its_exchange_and_nothing_else(
    gate: threading.Event, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "LIMIT_S", 0.05)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        outcomes: list[object] = []
        asked = Foreign(loop, 0.05)
        asked.ask("acme", "Sign", lambda: with_method(gate).auth_methods["acme"].sign(CONTEXT), outcomes.append)
        await soon(lambda: outcomes)
        assert isinstance(outcomes[0], FynxError)
        assert str(outcomes[0]) == "Sign of plugin acme did not return within 0.05 s"
        gate.set()
        await asyncio.sleep(0)
        assert len(outcomes) == 1
        asked.close()

    run(story)
    assert "plugin acme: Sign did not return within 0.05 s" in caplog.text


def test_only_work_of_other_distributions_goes_to_threads(gate: threading.Event) -> None:
    found = with_method(gate)
    assert foreign_owner(found, Sign("acme", CONTEXT)) == "acme"
    assert foreign_owner(found, Verify("acme", CONTEXT)) == "acme"
    assert foreign_owner(found, Sign("psk", CONTEXT)) == ""


class WildPort:
    framing = "message"
    local = (Path("192.0.2.1", 4500, "", 0),)

    def sockets(self) -> Sequence[Any]:
        return ()

    def attach(self) -> None: ...

    def send(self, batch: Sequence[Datagram]) -> None:
        raise ZeroDivisionError(batch[0].data.decode())

    def close(self) -> None:
        raise KeyError("closing")


def test_a_transport_that_raises_is_named_and_what_it_had_is_counted_as_lost(caplog: pytest.LogCaptureFixture) -> None:
    port = FencedPort(WildPort(), "wild", Watched(replace(registry(), owners={("transport", "wild"): "acme"})))  # type: ignore[arg-type]
    for _ in range(3):
        port.send([Datagram(Path("192.0.2.1", 4500, "192.0.2.2", 4500), b"octets of a peer")])
    port.close()
    assert port.counters() == {"datagrams_lost": 3, "transport_failed": 4}
    assert "plugin acme: transport wild raised ZeroDivisionError in send" in caplog.text
    assert "octets of a peer" not in caplog.text


@pytest.mark.parametrize("given", [None, b"octets", Datagram(None, None)])  # type: ignore[arg-type]
def test_what_a_transport_delivers_that_is_no_datagram_is_counted(given: Any) -> None:
    async def story() -> None:
        left, right = await two_hosts(Notify())
        try:
            left.driver.datagram(given)
            assert left.counters()["datagrams_malformed"] == 1
            await left.up("right")
            assert await carries(left, right)
        finally:
            await left.stop()
            await right.stop()

    run(story)


class Short:
    """Leaves the ICV out that its Cipher declares."""

    def seal(self, iv: bytes, plain: bytes, aad: bytes) -> bytes:
        return plain

    def open(self, iv: bytes, sealed: bytes, aad: bytes) -> bytes:
        return sealed


def test_a_cipher_that_lies_about_its_lengths_is_refused_at_install() -> None:
    cipher = Cipher("lies", 65300, 128, 4, 8, 16, 1, True, lambda raw: Short())
    chooser = Chooser((), Algorithms(ciphers={(65300, 128): cipher}))
    with pytest.raises(CryptoError, match="cipher lies declares an ICV of 16 octets and adds 0"):
        chooser.choose(EspSuite(65300, 128, keyword="lies"))


class Broken(Short):
    def __init__(self) -> None:
        self.calls = 0

    def seal(self, iv: bytes, plain: bytes, aad: bytes) -> bytes:
        self.calls += 1
        if self.calls > 1:
            raise ZeroDivisionError(plain.hex())
        return plain + bytes(16)


def test_a_cipher_that_raises_costs_the_packet_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    from fynx.esp.adapter import AdaptedOps
    from fynx.esp.ops import ops_seal

    broken = Broken()
    cipher = Cipher("wild", 65301, 128, 4, 8, 16, 1, True, lambda raw: broken)
    ops = AdaptedOps(Algorithms(ciphers={(65301, 128): cipher}), 65301, 128, 0)
    given = bytes(16), bytes(4), bytes(8), bytes(8), b"plain text of a user"
    try:
        assert ops_seal(ops.address, *given)
        with caplog.at_level(logging.ERROR), pytest.raises(CryptoError):
            ops_seal(ops.address, *given)
    finally:
        ops.close()
    assert "cipher wild raises ZeroDivisionError" in caplog.text
    assert b"plain text".hex() not in caplog.text


class HangingPort(WildPort):
    def send(self, batch: Sequence[Datagram]) -> None:
        while True:
            pass


def test_a_transport_that_does_not_return_loses_its_datagrams_and_is_broken_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watched = of_acme("transport", "wild")
    port = FencedPort(HangingPort(), "wild", watched)  # type: ignore[arg-type]
    port.send([Datagram(Path("192.0.2.1", 4500, "192.0.2.2", 4500), b"octets")])
    watched.watch.stop()
    assert port.counters() == {"datagrams_lost": 1, "transport_failed": 1}
    said_by_watch(caplog, f"plugin acme: transport wild.send did not return within {LIMIT_S} s and is broken off")


def said_by_watch(caplog: pytest.LogCaptureFixture, text: str) -> None:
    """On its own thread, after it struck."""
    eventually(lambda: text in caplog.text)


def eventually(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


class Tick:
    """A service that gives up the loop twice and then keeps it."""

    name = "tick"

    def __init__(self) -> None:
        self.heard: list[object] = []

    async def run(self, control: object) -> None:
        await asyncio.sleep(0)
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        except TimeoutError:
            self.heard.append("a time-out reaches it")
        while True:
            pass


def test_a_service_that_keeps_the_loop_is_broken_off_and_ended(caplog: pytest.LogCaptureFixture) -> None:
    watched, service = of_acme("service", "tick"), Tick()

    async def story() -> None:
        left = Host(on_switchboard("left", Switchboard()), registry())
        await serve(service, left, watched)

    run(story)
    watched.watch.stop()
    assert service.heard == ["a time-out reaches it"]
    said_by_watch(caplog, f"plugin acme: service did not return within {LIMIT_S} s and is broken off")
    assert "service tick ended" in caplog.text


def test_plugins_of_our_own_are_called_without_a_watch() -> None:
    watched = Watched(registry())
    assert [one.tasks for one in watched.extensions()] == [one.tasks for one in registry().extensions]
    assert watched.owner("transport", "udp") == ""
