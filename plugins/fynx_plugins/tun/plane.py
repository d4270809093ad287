"""The TUN plane: the C engine on a device, and the routes, guards and firewall rules around it.

Every change of routes goes through one pure plan (``plan.py``) whose difference to what the kernel holds is applied:
additions first, so that at no moment a protected prefix is without a route of ours.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from ipaddress import ip_address, ip_network

from fynx.plugin import ChildSpec, Engine, FynxError, Path, Plane, PlaneContext, Policy, PortSocket, Selector
from fynx.plugin.planes import EnginePlane
from fynx_plugins.tun import firewall
from fynx_plugins.tun.bypass import bypass_rules, late
from fynx_plugins.tun.config import TunConfig, inner_mtu, largest_frame, table_of
from fynx_plugins.tun.cover import Cover
from fynx_plugins.tun.device import open_tun, quieten
from fynx_plugins.tun.netlink import Netlink, Place
from fynx_plugins.tun.plan import Pair, Route, Rule, Wanted, guarded, routes, rules
from fynx_plugins.tun.prefixes import Network, networks
from fynx_plugins.tun.queues import multiqueue, processors, workers_of
from fynx_plugins.tun.reverse import trouble
from fynx_plugins.tun.spread import siblings, ways
from fynx_plugins.tun.virtual import VirtualAddresses

log = logging.getLogger("fynx.plane.tun")

LEFT = ("", "")
"""Owner of guards that an earlier run left in the kernel, until the policies tell which of them still have one."""


class TunPlane(EnginePlane):
    """One device, one routing table, one firewall table, all named after the host."""

    def __init__(
        self, context: PlaneContext, engine: Engine, config: TunConfig, netlink: Netlink, fds: Sequence[int]
    ) -> None:
        super().__init__(context, engine)
        self._config, self._netlink, self._fds = config, netlink, tuple(fds)
        self.mtu = inner_mtu() if config.mtu == "auto" else config.mtu
        self._place = Place(table_of(config, context.host), socket.if_nametoindex(config.device))
        self._wanted = Wanted(addresses=netlink.addresses())
        self._routes: frozenset[Route] = frozenset()
        self._rules: frozenset[Rule] = frozenset()
        self._static: tuple[Policy, ...] = ()
        self._late: tuple[Policy, ...] = ()
        self._expected: frozenset[str] = frozenset()
        self._pairs: Counter[Pair] = Counter()
        self._cover = Cover()
        self._outer: dict[int, str] = {}
        self._outside: set[str] = set()
        """Of peers, as the routes know them: they stay outside until routes change for another reason."""
        self._virtual = VirtualAddresses(netlink, self._place.device)
        self._fences = 0
        self._fence_thread = ThreadPoolExecutor(1, thread_name_prefix="fynx-nft")
        self._fence_text = ""
        self._trouble = self._filtered = ""
        self._addressed = False
        self._due = self._settling = False
        self._siblings: list[socket.socket] = []

    @property
    def workers(self) -> int:
        return len(self._fds)

    @property
    def mark(self) -> int:
        return self._place.table

    def begin(self) -> None:
        """Adopts what a crash left, brings the device up and starts the engine. Raises OSError."""
        self._mark_sockets()
        self._adopt()
        quieten(self._config.device)
        self._netlink.link_up(self._place.device, self.mtu)
        self._netlink.limit_frames(self._place.device, largest_frame(self.mtu))
        self.engine.configure(self._config.engine)
        self.take_sockets()
        for fd in self._fds:
            self.engine.add_tun(fd, self.mtu)
        self._tell_addresses()
        self.engine.start()

    def take(self, each: PortSocket) -> None:
        """With several workers each port is spread over as many sockets: the receiver of an SA goes by its SPI."""
        super().take(each)
        served = sum(one.raw or one.encapsulated for one in self.context.port.sockets())
        count = ways(self.workers, served) - 1
        if each.raw or not count:
            return
        try:
            made = siblings(each.fd, each.family, count)
        except OSError as error:
            log.warning("port %d is not spread over workers: %s", each.local_port, error)
            return
        self._siblings += made
        for sock in made:
            self.engine.add_socket(sock.fileno(), each.family, each.local_port)

    def expect_peers(self, addresses: Sequence[str]) -> None:
        if frozenset(addresses) != self._expected:
            self._expected = frozenset(addresses)
            self._refresh()

    def policies(self, policies: Sequence[Policy]) -> None:
        self.engine.policies(policies)
        ordered = sorted(policies, key=lambda policy: policy.priority)
        self._late = late(ordered)
        self._static = tuple(each for each in ordered if each.action != "protect" and each not in self._late)
        self._wanted.bypasses = bypass_rules(self._static)
        for key in [key for key in self._wanted.pairs if isinstance(key, str)]:
            self._unprotect(key)
        found = [_pair(tuple(each.local), tuple(each.remote)) for each in ordered if each.action == "protect"]
        for index, pair in enumerate(found):
            self._protect(f"policy {index}", pair)
        self._cover = Cover(found)
        self._wanted.guards.pop(LEFT, None)
        self._tell_addresses()
        self._refresh()
        self._fence(wait=True)
        self._look_at_filters()

    def install(self, child: ChildSpec) -> None:
        self.engine.install(child)
        pair = _pair(tuple(child.local_ts), tuple(child.remote_ts))
        fresh = self._protect(child.handle, pair)
        known = child.path.remote in self._outside
        self._outer[child.handle] = child.path.remote
        try:
            self._virtual.add(child.handle, child.virtual)
            if self._tell_addresses() or fresh or not known:
                self._refresh()
        except OSError as error:
            self.remove(child.handle)
            raise FynxError(f"routes for child {child.child}: {error}") from error
        if fresh and pair not in self._cover:
            self._fence()
        if child.mode == "transport":
            self._look_at_filters()

    def move(self, handle: int, path: Path, encap: bool) -> None:
        self.engine.move(handle, path, encap)
        before, self._outer[handle] = self._outer.get(handle), path.remote
        if self._tell_addresses() or before != path.remote:
            self._refresh()

    def remove(self, handle: int) -> None:
        self.engine.remove(handle)
        self._outer.pop(handle, None)
        pair = self._wanted.pairs.get(handle)
        if self._unprotect(handle):
            self._refresh()
            if pair is not None and pair not in self._cover:
                self._fence()
        if self._virtual.drop(handle):
            self._tell_addresses()

    def _protect(self, key: object, pair: Pair) -> bool:
        """True when nothing protected these prefixes until now."""
        self._wanted.pairs[key] = pair
        self._pairs[pair] += 1
        return self._pairs[pair] == 1

    def _unprotect(self, key: object) -> bool:
        """True when nothing protects these prefixes any longer."""
        pair = self._wanted.pairs.pop(key, None)
        if pair is None:
            return False
        self._pairs[pair] -= 1
        if self._pairs[pair]:
            return False
        del self._pairs[pair]
        return True

    def keep_closed(self, peer: str, child: str, remote: Sequence[Selector], *, closed: bool) -> None:
        if not self._config.routes:
            return
        if closed:
            self._wanted.guards[peer, child] = networks(remote)
        else:
            self._wanted.guards.pop((peer, child), None)
        self._due = True
        if not self._settling:
            self._settling = True
            self._loop.call_soon(self._settle)

    def _settle(self) -> None:
        """After a row of guards, and before anything else happens: what all of them changed, once."""
        self._settling = False
        if self._closed:
            return
        try:
            if self._due:
                self._refresh()
            self._note()
        except OSError:
            log.exception("routes of guards could not all be changed")

    def status(self) -> Mapping[str, object]:
        return {
            **self.engine.status(),
            "device": self._config.device,
            "mtu": self.mtu,
            "queues": len(self._fds),
            "table": self._place.table,
            "guards": sorted(map(str, guarded(self._wanted))),
            "firewall": self._trouble or ("on" if self._fence_text else "off"),
            "reverse_path": self._look_at_filters(),
        }

    def close(self, *, leave_open: bool = False) -> None:
        if self._closed:
            return
        super().close(leave_open=leave_open)
        self._wanted.device = False
        if leave_open:
            self._wanted.guards.clear()
        try:
            self._refresh()
            self._note()
        except OSError:
            log.exception("routes of the device could not all be removed")
        self._say_what_is_closed()
        for fd in self._fds:
            os.close(fd)
        for sock in self._siblings:
            sock.close()
        self._fence_thread.submit(self._fence_apply, firewall.Fence("", 0, (), (), ())).result(firewall.WAIT_S)
        self._fence_thread.shutdown()
        self._netlink.close()

    def _say_what_is_closed(self) -> None:
        """An end that no peer confirmed: who wonders why nothing goes there should find it."""
        left = sorted(map(str, guarded(self._wanted)))
        if left and self._config.routes:
            shown = ", ".join(left[:8]) + (", …" if len(left) > 8 else "")
            undo = f"ip route flush table {self._place.table}; ip -6 route flush table {self._place.table}"
            log.warning("nothing leaves for %s, until the next start or: %s", shown, undo)

    def _adopt(self) -> None:
        """Guards of an earlier run stay in force without a gap; its other routes and its rules do not."""
        for each in _notes(self.context.restored):
            self._wanted.guards[each[0], each[1]] = each[2]
        self._routes = frozenset(r for r in self._netlink.found(self._place.table) if r.kind != "device")
        self._netlink.forget_rules(self._place.table, bypasses_only=True)
        left = {route.network for route in self._routes if route.kind == "unreachable"} - guarded(self._wanted)
        if left:
            self._wanted.guards[LEFT] = tuple(left)
        self._refresh()
        before = self.context.restored.get("table")
        if isinstance(before, int) and before != self._place.table:
            self._netlink.forget(Place(before))

    def _refresh(self) -> None:
        """Brings the kernel from what it holds to what is wanted. Raises OSError when it refuses."""
        if not self._config.routes:
            return
        self._outside = addresses = {*self._expected, *self._outer.values()}
        self._wanted.peers = frozenset(ip_address(text) for text in addresses if text)
        new_routes = routes(self._wanted)
        new_rules, fresh, gone = rules(self._wanted, new_routes), new_routes - self._routes, self._routes - new_routes
        stale = {(route.kind, route.network) for route in fresh}
        self._netlink.drop_routes(self._place, [one for one in gone if (one.kind, one.network) in stale])
        self._netlink.add_routes(self._place, list(fresh))
        for rule in new_rules - self._rules:
            self._netlink.add_rule(self._place, rule)
        self._netlink.drop_rules(self._place, self._rules - new_rules)
        self._netlink.drop_routes(self._place, [one for one in gone if (one.kind, one.network) not in stale])
        self._routes, self._rules, self._due = new_routes, new_rules, False

    def _note(self) -> None:
        guards = [
            {"peer": peer, "child": child, "remote": [str(network) for network in held]}
            for (peer, child), held in sorted(self._wanted.guards.items())
        ]
        self.context.save({"device": self._config.device, "table": self._place.table, "guards": guards})

    def _mark_sockets(self) -> None:
        for each in self.context.port.sockets():
            with socket.socket(fileno=os.dup(each.fd)) as shared:
                shared.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, self.mark)

    def _tell_addresses(self) -> bool:
        """Addresses come and go while we run. True when they have changed since the last look."""
        found = self._netlink.addresses()
        if found == self._wanted.addresses and self._addressed:
            return False
        self._addressed = True
        self._wanted.addresses = found
        self.engine.own_addresses([address.packed for address in found])
        return True

    def _look_at_filters(self) -> str:
        """Whom the kernel's reverse-path filter keeps from us, told in the log once."""
        found = trouble(self._wanted, self._config.device) if self._config.routes else ""
        if found and found != self._filtered:
            log.warning("%s", found)
        self._filtered = found
        return found

    def _fence(self, *, wait: bool = False) -> None:
        """Brings the firewall to what is wanted, on its own thread: of changes that queue up only the last is made."""
        if not self._config.firewall or self._closed:
            return
        self._fences += 1
        ports = tuple(path.local_port for path in self.context.port.local)
        raw = any(each.raw for each in self.context.port.sockets())
        pairs = tuple(self._pairs)
        fence = firewall.Fence(self._config.device, self.mark, ports, self._static, pairs, self._late, raw)
        done = self._fence_thread.submit(self._fence_if_last, self._fences, fence)
        if wait:
            done.result(firewall.WAIT_S)

    def _fence_if_last(self, number: int, fence: firewall.Fence) -> None:
        if number == self._fences:
            self._fence_apply(fence)

    def _fence_apply(self, fence: firewall.Fence) -> None:
        """On the thread for nft alone. A refusal is told and shown by status, and stops nothing else."""
        text = firewall.ruleset(self.context.host, fence) if fence.needed else ""
        if text == self._fence_text:
            return
        try:
            firewall.apply(text or firewall.ruleset(self.context.host, fence))
        except (FynxError, OSError) as error:
            self._trouble = str(error)
            log.warning("%s", error)
            return
        self._fence_text, self._trouble = text, ""


class TunDataplane:
    """Opens the plane of the section ``host.plane.tun``. Raises OSError: EPERM without CAP_NET_ADMIN, EBUSY."""

    name = "tun"

    async def open(self, context: PlaneContext) -> Plane:
        config = context.section if isinstance(context.section, TunConfig) else TunConfig()
        wanted = config.workers
        queues = workers_of(wanted, processors=processors(), multiqueue=wanted != "auto" or multiqueue())
        fds = open_tun(config.device, vnet=config.offloads.vnet == "auto", queues=queues)
        try:
            netlink = Netlink()
            engine = context.engine(providers=context.providers, capacity=config.capacity)
            plane = TunPlane(context, engine, config, netlink, fds)
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
        try:
            plane.begin()
        except BaseException:
            plane.close()
            raise
        return plane


@lru_cache(1024)
def _pair(local: tuple[Selector, ...], remote: tuple[Selector, ...]) -> Pair:
    return Pair(networks(local), networks(remote))


def _notes(restored: Mapping[str, object]) -> list[tuple[str, str, tuple[Network, ...]]]:
    """The guards of a note as ``_note`` wrote it; anything else in it is passed over."""
    found = []
    guards = restored.get("guards")
    for each in guards if isinstance(guards, list) else []:
        try:
            held = tuple(ip_network(text) for text in each["remote"])
            found.append((str(each["peer"]), str(each["child"]), held))
        except (KeyError, TypeError, ValueError):
            log.warning("a guard in the state file cannot be read")
    return found
