"""Two hosts with all their parts but the kernel's: configuration, plugins, protocol, C plane, switchboard."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fynx.config import Child, Choice, Local, Remote
from fynx.errors import StateError
from fynx.events import ChildRekeyed, ChildUp, HandshakeFailed, IkeDown, IkeUp
from fynx.ike.effects import Rekey
from fynx.plugin import Datagram, Path
from fynx.run import host
from fynx.run.failures import HostError
from fynx.run.host import Host
from fynx_plugins.memory import Switchboard
from fynx_plugins.udp.config import UdpConfig
from tests.unit.run.pair import PATIENT, QUICK, config, on_switchboard, packet, pair, plane, psk, registry, run, soon


async def passes(here: Host, there: Host, sent: list[bytes]) -> bool:
    plane(here).send_inner(sent)
    got: list[bytes] = []
    await soon(lambda: got.extend(plane(there).recv_inner()) or len(got) >= len(sent))
    return got == sent


def test_up_makes_a_tunnel_that_carries_packets_both_ways() -> None:
    async def test() -> None:
        async with pair() as both:
            await both.left.up("right")
            assert await passes(both.left, both.right, [packet("left", number) for number in range(5)])
            assert await passes(both.right, both.left, [packet("right", number) for number in range(5)])

    run(test)


def test_what_no_policy_protects_does_not_travel() -> None:
    async def test() -> None:
        async with pair() as both:
            await both.left.up("right")
            carried = both.network.carried
            plane(both.left).send_inner([packet().replace(bytes([10, 2, 0, 1]), bytes([10, 3, 0, 1]))])
            assert both.network.carried == carried

    run(test)


def test_events_come_in_order_and_status_follows_its_schema() -> None:
    async def test() -> None:
        async with pair() as both:
            seen: list[object] = []
            both.left.subscribe(seen.append)
            await both.left.up("right")
            kinds = [type(event) for event in seen]
            assert kinds.index(IkeUp) < kinds.index(ChildUp)
            status: dict[str, object] = both.left.status()
            assert next(iter(status.items())) == ("schema", "fynx.status/1")
            peers = status["peers"]
            assert isinstance(peers, list)
            assert peers[0]["state"] == "established"
            assert peers[0]["established_s"] >= 0
            assert peers[0]["children"][0]["local"] == ["10.1.0.0/16"]
            assert peers[0]["children"][0]["provider"]

    run(test)


def test_a_graceful_stop_tells_the_peer_and_ends_with_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "GOODBYE_S", 3600.0)

    async def test() -> None:
        async with pair() as both:
            await both.left.up("right")
            downs: list[IkeDown] = []
            both.right.subscribe(lambda event: downs.append(event) if isinstance(event, IkeDown) else None)
            await both.left.stop()
            await soon(lambda: downs)
            assert "the peer deleted" in downs[0].reason

    run(test)


@pytest.mark.parametrize("hurried", [False, True])
def test_a_stop_without_an_answer_ends_and_at_once_when_hurried(monkeypatch: pytest.MonkeyPatch, hurried: bool) -> None:
    """Row L15: all over in less than 3 s, long before the retransmissions are."""
    assert host.GOODBYE_S < 3.0
    monkeypatch.setattr(host, "GOODBYE_S", 3600.0 if hurried else 0.1)

    async def test() -> None:
        async with pair(left={"retransmission": PATIENT}) as both:
            await both.left.up("right")
            both.network.passes = lambda _datagram: False
            if hurried:
                asyncio.get_running_loop().call_later(0.05, both.left.hurry)
            await both.left.stop()

    run(test)


def test_up_says_why_it_failed_when_the_secrets_differ() -> None:
    async def test() -> None:
        wrong = {"local": Local(id="left.test", auth=psk(b"another secret of thirty-two octets"))}
        async with pair(left=wrong) as both:
            with pytest.raises(HostError, match="AUTHENTICATION_FAILED") as caught:
                await both.left.up("right")
            assert (caught.value.exit_code, caught.value.label) == (1, "FYNX-2001")
            assert str(caught.value).startswith("right: ")
            assert "secret" in caught.value.remedy

    run(test)


def test_up_ends_with_exit_code_6_when_nobody_answers_in_time() -> None:
    async def test() -> None:
        async with pair(left={"retransmission": PATIENT}) as both:
            both.network.passes = lambda _datagram: False
            with pytest.raises(HostError, match="not up after") as caught:
                await both.left.up("right", timeout_s=0.06)
            assert caught.value.exit_code == 6

    run(test)


@pytest.mark.parametrize(
    ("left", "silent", "told"),
    [
        ({"ike": ("aes128gcm16-prfsha256-x25519",)}, False, (1, "FYNX-1004")),
        ({"children": {"net": Child(local=("10.3.0.0/16",), remote=("10.4.0.0/16",))}}, False, (1, "FYNX-1005")),
        ({"retransmission": QUICK}, True, (6, "FYNX-5002")),
    ],
    ids=["proposals", "selectors", "silence"],
)
def test_up_fails_under_the_code_of_the_cause(left: dict[str, Any], silent: bool, told: tuple[int, str]) -> None:
    async def test() -> None:
        async with pair(left=left, right={"ike": ("aes256gcm16-prfsha512-modp4096",)} if "ike" in left else {}) as both:
            both.network.passes = lambda _datagram: not silent
            with pytest.raises(HostError) as caught:
                await both.left.up("right", timeout_s=20)
            assert (caught.value.exit_code, caught.value.label) == told

    run(test)


def test_a_peer_that_starts_by_itself_is_called_again_after_a_failure() -> None:
    async def test() -> None:
        network = Switchboard(passes=lambda _datagram: False)
        left = Host(on_switchboard("left", network, start="initiate"), registry())
        right = Host(on_switchboard("right", network), registry())
        failures: list[HandshakeFailed] = []
        left.subscribe(lambda event: failures.append(event) if isinstance(event, HandshakeFailed) else None)
        await right.start()
        await left.start()
        await soon(lambda: failures)
        assert "no answer" in failures[0].reason
        assert '"waiting"' in str(left.status()["peers"]).replace("'", '"')
        network.passes = lambda _datagram: True
        await left.up("right")
        await left.stop()
        await right.stop()

    run(test)


def test_a_tunnel_that_the_peer_ends_is_called_again_when_it_starts_by_itself() -> None:
    async def test() -> None:
        async with pair(left={"start": "initiate"}) as both:
            ups: list[ChildUp] = []
            both.left.subscribe(lambda event: ups.append(event) if isinstance(event, ChildUp) else None)
            await soon(lambda: len(ups) == 1)
            await both.right.down("left")
            await soon(lambda: len(ups) == 2)

    run(test)


def test_down_of_one_child_leaves_the_other() -> None:
    children = {
        "net": Child(local=("10.1.0.0/16",), remote=("10.2.0.0/16",), start="initiate"),
        "dmz": Child(local=("10.1.0.0/16",), remote=("10.4.0.0/16",), start="initiate"),
    }
    mirrored = {name: Child(local=child.remote, remote=child.local) for name, child in children.items()}

    async def test() -> None:
        async with pair(left={"children": children}, right={"children": mirrored}) as both:
            await both.left.up("right")
            assert both.left.children_up("right") == {"net", "dmz"}
            assert await both.left.down("right", "dmz")
            assert both.left.children_up("right") == {"net"}
            await both.left.up("right", "dmz")
            assert both.left.children_up("right") == {"net", "dmz"}

    run(test)


def test_a_rekeyed_child_that_lingers_keeps_nothing_closed() -> None:
    async def test() -> None:
        async with pair() as both:
            await both.left.up("right")
            rekeyed: list[ChildRekeyed] = []
            both.left.subscribe(lambda event: rekeyed.append(event) if isinstance(event, ChildRekeyed) else None)
            both.left.command(Rekey("right", "net"))
            await soon(lambda: rekeyed)
            assert await passes(both.left, both.right, [packet("left", number) for number in range(5)])
            assert len(both.left.driver.installed("right", "net")) == 2
            assert await both.left.down("right")

    run(test)


def test_unknown_peers_and_children_are_named_with_those_that_exist() -> None:
    async def test() -> None:
        async with pair() as both:
            with pytest.raises(StateError, match="configured: right"):
                await both.left.up("nobody")
            with pytest.raises(StateError, match="configured: net"):
                await both.left.up("right", "nothing")

    run(test)


def test_traffic_brings_up_a_trap_and_nothing_else() -> None:
    async def test() -> None:
        async with pair(left={"start": "trap"}) as both:
            assert both.left.children_up("right") is None
            plane(both.left).send_inner([packet()])
            await soon(lambda: both.left.children_up("right"))
        async with pair() as both:
            plane(both.left).send_inner([packet()])
            await soon(lambda: plane(both.left).engine.counters()["acquires"])
            await asyncio.sleep(0.02)
            assert both.left.children_up("right") is None

    run(test)


def test_garbage_from_the_network_raises_nothing_and_is_counted() -> None:
    async def test() -> None:
        async with pair() as both:
            junk = (b"", b"\xff", b"\0", bytes(4), bytes(40), b"\x01" * 3, b"\x01" * 60, bytes(4) + b"\x02" * 50)
            for data in junk:
                for port in (500, 4500):
                    both.network.carry(Datagram(Path("192.0.2.9", 4500, "192.0.2.1", port), data))
            await both.left.up("right")
            counters = both.left.counters()
            assert counters["datagrams_keepalive"] == 1
            assert counters.get("failed", 0) == 0

    run(test)


def test_over_loopback_with_ports_of_our_own_and_no_privilege() -> None:
    """Both ports carry the marker when neither is 500; the peer's port says where it is."""

    async def test() -> None:
        here = Choice("udp", UdpConfig(listen=("127.0.0.1",), ports=(0, 0)))
        right = Host(config("right", here, remote=Remote(address=("any",), id="left.test", auth=psk())), registry())
        await right.start()
        assert right.port is not None
        port = right.port.local[-1].local_port
        remote = Remote(address=("127.0.0.1",), id="right.test", auth=psk(), port=port)
        left = Host(config("left", here, remote=remote), registry())
        await left.start()
        await left.up("right")
        assert await passes(left, right, [packet()])
        await left.stop()
        await right.stop()

    run(test)


def test_a_port_in_use_is_exit_code_3_and_leaves_nothing_open() -> None:
    """Row L16."""

    async def test() -> None:
        first = Host(config("left", Choice("udp", UdpConfig(listen=("127.0.0.1",), ports=(0, 0)))), registry())
        await first.start()
        assert first.port is not None
        taken = tuple(path.local_port for path in first.port.local)
        second = Host(config("left", Choice("udp", UdpConfig(listen=("127.0.0.1",), ports=taken))), registry())
        with pytest.raises(HostError, match=f"UDP port {taken[0]}") as caught:
            await second.start()
        assert caught.value.exit_code == 3
        await first.stop()

    run(test)
