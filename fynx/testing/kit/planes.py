"""Checks of a data plane (RFC 4303; RFC 4301 section 5): the kit is the peer, with ESP that it seals and opens itself.

A plane whose packets a program hands over (``PacketPlane``) is asked for them; of any other the counters tell.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

from fynx.errors import FynxError
from fynx.esp.reference import Receiver, Traffic, Window
from fynx.esp.reference import Refused as Dropped
from fynx.plugin.dataplane import Policy, UnknownSpi
from fynx.plugin.planes import PacketPlane
from fynx.plugin.selftest import flip
from fynx.testing.kit.rig import HANDLE, HERE, SPI_OUT, SUITE, THERE, WAIT_S, WINDOW, Rig, opened, packet, selector
from fynx.testing.kit.subject import Check, Refused, Subject

BATCH = 8
Story = Callable[[Rig], Awaitable[None]]


def plane_checks(subject: Subject) -> Iterator[Check]:
    for name in subject.owned("data plane"):
        yield Check(f"plane {name}: opens and closes", partial(_opens, subject, name))
        stories: Mapping[str, Story] = {
            "SPIs": _spis,
            "installs and removes": _life,
            "counts": _counts,
            "order": _order,
            "replays": _replays,
            "bad packets": _bad_packets,
            "sends": _sends,
            "nothing in clear": _nothing_in_clear,
        }
        for what, story in stories.items():
            yield Check(f"plane {name}: {what}", partial(_tell, subject, name, story))


def _tell(subject: Subject, name: str, story: Story) -> None:
    async def told() -> None:
        async with opened(subject, name) as rig:
            await story(rig)

    asyncio.run(told())


# What a plane must do.


def _opens(subject: Subject, name: str) -> None:
    """Twice, so that what the first leaves behind is in the way of the second."""

    async def once() -> None:
        async with opened(subject, name) as rig:
            if not isinstance(rig.plane.status(), Mapping):
                raise Refused("status gives no mapping")
            rig.install(rig.child())
            rig.plane.close()  # and again at the end: closing is idempotent

    asyncio.run(once())
    before = _held()
    asyncio.run(once())
    after = _held()
    if after[0] > before[0]:
        raise Refused(f"{after[0] - before[0]} descriptors are still open after close()")
    if after[1] > before[1]:
        raise Refused(f"{after[1] - before[1]} threads are left after close()")


def _held() -> tuple[int, int]:
    gc.collect()
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task")) + threading.active_count()


async def _spis(rig: Rig) -> None:
    taken = [rig.plane.reserve_spi() for _ in range(200)]
    if len(set(taken)) != len(taken):
        raise Refused("reserve_spi gives the same SPI twice")
    if not all(type(one) is int and 255 < one < 1 << 32 for one in taken):
        raise Refused("reserve_spi gives a number that is no SPI: 256 to 4294967295 (RFC 4303 section 2.1)")
    for one in taken:
        rig.plane.release_spi(one)


async def _life(rig: Rig) -> None:
    wrong = replace(SUITE, encr_id=65299, keyword="nobody")
    try:
        rig.plane.install(rig.child(suite=wrong))
    except FynxError:
        pass
    except Exception as error:
        raise Refused(
            f"an algorithm that nobody has: raises {type(error).__name__}, a FynxError belongs here"
        ) from None
    else:
        raise Refused("installs an algorithm that nobody has")
    rig.install(rig.child())
    await rig.take([rig.seal(packet())])
    if (await rig.usage(lambda one: one.packets_in == 1)).packets_in != 1:
        raise Refused("a good packet is not counted in packets_in")
    rig.plane.remove(HANDLE)
    before = len(rig.upcalls)
    await rig.take([rig.seal(packet())])
    try:
        after = rig.plane.usage(HANDLE).packets_in
    except Exception:  # what nobody knows any more may be refused
        after = 1
    if after > 1:
        raise Refused("a Child SA that was removed still takes packets")
    if isinstance(rig.plane, PacketPlane) and len(await rig.inner(1)) > 1:
        raise Refused("a packet for a Child SA that was removed is delivered")
    await _heard_of_spi(rig, before)
    rig.install(rig.child())  # the handle is free again


async def _heard_of_spi(rig: Rig, before: int) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(WAIT_S):
            while not any(isinstance(one, UnknownSpi) for one in rig.upcalls[before:]):
                await asyncio.sleep(0.01)
            return
    raise Refused("a packet for an SPI that nobody has is not told of (UnknownSpi)")


async def _counts(rig: Rig) -> None:
    rig.install(rig.child())
    sizes = [packet(n, 40 * n) for n in range(3 * BATCH)]
    sealed = [rig.seal(one) for one in sizes]
    await rig.take(*(sealed[at : at + BATCH] for at in range(0, len(sealed), BATCH)))
    found = await rig.usage(lambda one: one.packets_in >= len(sizes))
    if found.packets_in != len(sizes) or any(found.drops.values()):
        raise Refused(f"{len(sizes)} good packets: packets_in = {found.packets_in}, drops {dict(found.drops)}")
    if found.bytes_in <= 0:
        raise Refused("bytes_in does not move")
    if found.sequence_in != len(sizes):
        raise Refused(f"sequence_in = {found.sequence_in} after packet {len(sizes)}")


async def _order(rig: Rig) -> None:
    if not isinstance(rig.plane, PacketPlane):
        return
    rig.install(rig.child())
    sent = [packet(n, 10 + n) for n in range(4 * BATCH)]
    sealed = [rig.seal(one) for one in sent]
    await rig.take(*(sealed[at : at + BATCH] for at in range(0, len(sealed), BATCH)))
    got = await rig.inner(len(sent))
    if sorted(got) != sorted(sent):
        raise Refused(f"{len(got)} of {len(sent)} packets come out unchanged")
    if got != sent:
        raise Refused("packets change places")


async def _replays(rig: Rig) -> None:
    """RFC 4303 section 3.4.3: in the same batch, later, and left of the window."""
    rig.install(rig.child())
    first = rig.seal(packet(1), 1)
    await rig.take([first, first], [first])
    newest = rig.seal(packet(2), WINDOW + 40)
    await rig.take([newest], [rig.seal(packet(3), 20)], [newest])
    found = await rig.usage(lambda one: one.drops.get("replay", 0) >= 4)
    if found.packets_in != 2:
        raise Refused(f"of 2 packets and 4 replays it takes {found.packets_in}")
    if found.drops.get("replay") != 4:
        raise Refused(f"4 replays, drops['replay'] = {found.drops.get('replay', 0)}")


async def _bad_packets(rig: Rig) -> None:
    """One in each position of a batch: it alone is lost, and counted by its name."""
    rig.install(rig.child())
    for place in range(BATCH):
        for name, spoil in SPOILT.items():
            await _one_bad(rig, place, name, spoil)


async def _one_bad(rig: Rig, place: int, name: str, spoil: Callable[[Rig], bytes]) -> None:
    before = rig.plane.usage(HANDLE)
    wanted = [packet(n, 20 + n) for n in range(BATCH)]
    batch = [rig.seal(one) if n != place else spoil(rig) for n, one in enumerate(wanted)]
    del wanted[place]
    await rig.take(batch)
    after = await rig.usage(lambda one: one.packets_in - before.packets_in >= BATCH - 1)
    taken = after.packets_in - before.packets_in
    where = f"{name} in position {place} of a batch"
    if isinstance(rig.plane, PacketPlane) and await rig.inner(BATCH - 1) != wanted:
        raise Refused(f"{where}: what comes out is not the {BATCH - 1} others")
    if taken != BATCH - 1:
        raise Refused(f"{where}: {taken} of {BATCH - 1} good packets are taken")
    if name in COUNTED and after.drops.get(name, 0) != before.drops.get(name, 0) + 1:
        raise Refused(f"{where}: drops[{name!r}] does not grow by one")


SPOILT: Mapping[str, Callable[[Rig], bytes]] = {
    "integrity": lambda rig: flip(rig.seal(packet()), 20),
    "length": lambda rig: rig.seal(packet())[:17],
    "selectors": lambda rig: rig.seal(packet(source="203.0.113.1")),
    "nothing": lambda _rig: b"",
    "an SPI alone": lambda rig: rig.spi.to_bytes(4, "big"),
    "an SPI of nobody": lambda rig: flip(rig.seal(packet()), 0),
}
COUNTED = ("integrity", "length", "selectors")


async def _sends(rig: Rig) -> None:
    """Nothing before ``activate``, then sequence numbers from 1, each once and in order, and the counters."""
    if not isinstance(rig.plane, PacketPlane):
        return
    rig.install(rig.child(outbound=False))
    sent = [packet(n, 10 * n, HERE, THERE) for n in range(2 * BATCH)]
    rig.plane.send_inner(sent[:1])
    if await rig.sealed(0):
        raise Refused("a Child SA that was installed with outbound=False sends before activate")
    rig.plane.activate(HANDLE)
    for at in range(0, len(sent), BATCH):
        rig.plane.send_inner(sent[at : at + BATCH])
    sealed = await rig.sealed(len(sent))
    numbers = [int.from_bytes(one[4:8], "big") for one in sealed]
    if numbers != list(range(1, len(sent) + 1)):
        raise Refused(f"sequence numbers are {numbers[:4]}…: 1, 2, 3 … belong here (RFC 4303 section 2.2)")
    traffic = Traffic((selector("198.18.1.0/24"),), (selector("198.18.0.0/24"),))
    receiver = Receiver(rig.key(b"out"), SPI_OUT, Window(WINDOW), traffic)
    try:
        opened_ = [receiver.receive(one) for one in sealed]
    except Dropped as error:
        raise Refused(f"what it seals does not open: {error.name}") from None
    if opened_ != sent:
        raise Refused("what it seals is not what it was given, or in another order")
    found = await rig.usage(lambda one: one.packets_out >= len(sent))
    if (found.packets_out, found.sequence_out) != (len(sent), len(sent)):
        raise Refused(f"{len(sent)} packets: packets_out = {found.packets_out}, sequence_out = {found.sequence_out}")
    rig.plane.remove(HANDLE)
    rig.plane.send_inner(sent[:1])
    if await rig.sealed(0):
        raise Refused("a Child SA that was removed still sends")


async def _nothing_in_clear(rig: Rig) -> None:
    """PROTECT without an SA, and what no policy knows (RFC 4301 section 5.1)."""
    if not isinstance(rig.plane, PacketPlane):
        return
    near, far = (selector("198.18.0.0/24"),), (selector("198.18.1.0/24"),)
    rig.plane.policies([Policy("protect", near, far, 1000, "kit", "net")])
    rig.plane.keep_closed("kit", "net", far, closed=True)
    rig.plane.send_inner([packet(1, 10, HERE, THERE), packet(2, 10, HERE, "203.0.113.9"), b"", b"\x45"])
    if await rig.sealed(0):
        raise Refused("sends although no Child SA stands")
    rig.plane.keep_closed("kit", "net", far, closed=False)


__all__ = ["plane_checks"]
