"""Routes, rules and links of the kernel through pyroute2, on a thread of its own (pyroute2 brings an event loop)."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from pyroute2 import IPRoute  # type: ignore[import-untyped]
from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]

from fynx_plugins.tun.bulk import RouteSocket
from fynx_plugins.tun.plan import Kind, Route, Rule
from fynx_plugins.tun.prefixes import Address

PROTOCOL = 0xF9
"""Our number in the routes' protocol field: tells our routes from anyone's."""
METRIC: dict[Kind, int] = {"throw": 5, "device": 10, "unreachable": 4_000_000}
MAIN_TABLE = 254
INVERT = 0x2
"""FIB_RULE_INVERT: the rule is for what does not carry the mark."""
RULE_TABLE, RULE_BYPASS, SPREAD = 15000, 5000, 10000
"""Priorities of our rules: after the local table (0), before the main one (32766); bypasses first, one per host."""
IFA_F_NODAD = 0x02
RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR = 0x10, 0x100
WAIT_S = 10.0
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True, slots=True)
class Place:
    """Where one host's routes live: table number, which is the mark and tells its rules too, and the device's index."""

    table: int
    device: int = 0


class Netlink:
    """Calls block for about a millisecond. Raises OSError (NetlinkError is one by its code) when the kernel refuses."""

    def __init__(self) -> None:
        self._watch = _watch_addresses()
        self._known: tuple[Address, ...] | None = None
        self._bulk = RouteSocket(PROTOCOL, METRIC)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="fynx-netlink")
        self._ip: Any = self._pool.submit(IPRoute).result(WAIT_S)

    def close(self) -> None:
        self._watch.close()
        self._bulk.close()
        self._pool.submit(self._ip.close).result(WAIT_S)
        self._pool.shutdown()

    def link_up(self, index: int, mtu: int) -> None:
        self._call(lambda ip: ip.link("set", index=index, mtu=mtu, txqlen=1000, state="up"))

    def limit_frames(self, index: int, size: int) -> None:
        """The largest frame that the device hands over; a kernel that cannot be told cuts no worse than before."""
        with contextlib.suppress(OSError):
            self._call(lambda ip: ip.link("set", index=index, gso_max_size=size))

    def addresses(self) -> tuple[Address, ...]:
        """Addresses of this machine that packets may carry: neither loopback nor link-local; widest scope first.

        Asks the kernel again only when it has told of a change: this is called for every Child SA.
        """
        if self._known is None or _told(self._watch):
            self._known = self._asked()
        return self._known

    def _asked(self) -> tuple[Address, ...]:
        found: list[tuple[int, str]] = self._call(lambda ip: [_address(message) for message in ip.get_addr()])
        all_of_them = [ipaddress.ip_address(text) for _scope, text in sorted(found, key=lambda x: x[0]) if text]
        return tuple(each for each in all_of_them if not each.is_loopback and not each.is_link_local)

    def add_address(self, device: int, address: Address) -> None:
        """An address of its own on the device; usable at once, as nobody else can have it there."""
        flags = {"flags": IFA_F_NODAD} if address.version == 6 else {}
        fields = {"index": device, "address": str(address), "prefixlen": address.max_prefixlen, **flags}
        self._tolerant(lambda ip: ip.addr("add", **fields), errno.EEXIST)

    def drop_address(self, device: int, address: Address) -> None:
        fields = {"index": device, "address": str(address), "prefixlen": address.max_prefixlen}
        self._tolerant(lambda ip: ip.addr("del", **fields), errno.EADDRNOTAVAIL, errno.ENODEV)

    def add_routes(self, place: Place, routes: Sequence[Route]) -> None:
        self._bulk.add(place.table, place.device, routes, (0, errno.EEXIST))

    def drop_routes(self, place: Place, routes: Sequence[Route]) -> None:
        self._bulk.drop(place.table, place.device, routes, (0, errno.ESRCH, errno.ENOENT))

    def add_rule(self, place: Place, rule: Rule) -> None:
        self._tolerant(lambda ip: ip.rule("add", **_rule(place, rule)), errno.EEXIST)

    def drop_rules(self, place: Place, rules: Iterable[Rule]) -> None:
        for rule in rules:
            fields = _rule(place, rule)
            self._tolerant(partial(_drop_rule, fields), errno.ENOENT)

    def found(self, table: int) -> frozenset[Route]:
        """Routes of ours that the table holds, from an earlier run; those into a device carry no source here."""
        return frozenset(self._bulk.found(table))

    def forget_rules(self, table: int, *, bypasses_only: bool = False) -> None:
        """Removes rules that an earlier run left for this table."""

        def forget(ip: Any) -> None:
            for family in _FAMILIES.values():
                for message in ip.get_rules(family=family):
                    bypass = message.get_attr("FRA_TABLE") == MAIN_TABLE
                    if _ours(message, table) and (bypass or not bypasses_only):
                        _delete_rule(ip, family, message)

        self._call(forget)

    def forget(self, place: Place) -> None:
        """Removes everything of ours in a table that is no longer used."""
        self.forget_rules(place.table)
        self.drop_routes(place, [route for route in self.found(place.table) if route.kind != "device"])

    def _call(self, work: Callable[[Any], Any]) -> Any:
        try:
            return self._pool.submit(work, self._ip).result(WAIT_S)
        except NetlinkError as error:
            raise OSError(error.code, f"netlink: {error.args[1] if len(error.args) > 1 else error}") from error

    def _tolerant(self, work: Callable[[Any], Any], *codes: int) -> None:
        try:
            self._call(work)
        except OSError as error:
            if error.errno not in codes:
                raise


def _watch_addresses() -> socket.socket:
    """The kernel's own word that an address came or went (rtnetlink(7))."""
    watch = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
    watch.bind((0, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))
    return watch


def _told(watch: socket.socket) -> bool:
    """Drains it. What did not fit (ENOBUFS) is a change as well."""
    changed = False
    while True:
        try:
            watch.recv(4096)
        except BlockingIOError:
            return changed
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                return True
        changed = True


def _address(message: Any) -> tuple[int, str]:
    return message["scope"], message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS") or ""


def _rule(place: Place, rule: Rule) -> dict[str, Any]:
    fields: dict[str, Any] = {"family": _FAMILIES[rule.version], "protocol": PROTOCOL}
    if rule.kind == "table":
        return fields | {"table": place.table, "priority": RULE_TABLE, "fwmark": place.table, "flags": INVERT}
    fields |= {"table": MAIN_TABLE, "priority": _bypass_priority(place.table)}
    if rule.source is not None and rule.source.prefixlen:
        fields |= {"src": str(rule.source.network_address), "src_len": rule.source.prefixlen}
    if rule.destination is not None and rule.destination.prefixlen:
        fields |= {"dst": str(rule.destination.network_address), "dst_len": rule.destination.prefixlen}
    if rule.protocol:
        fields["ip_proto"] = rule.protocol
    for name, ports in (("sport_range", rule.source_ports), ("dport_range", rule.destination_ports)):
        if ports is not None:
            fields[name] = f"{ports[0]}:{ports[1]}"
    return fields


def _drop_rule(fields: dict[str, Any], ip: Any) -> None:
    ip.rule("del", **fields)


def _bypass_priority(table: int) -> int:
    return RULE_BYPASS + table % SPREAD


def _ours(message: Any, table: int) -> bool:
    if message.get_attr("FRA_PROTOCOL") != PROTOCOL:
        return False
    number, priority = message.get_attr("FRA_TABLE"), message.get_attr("FRA_PRIORITY")
    return bool(number == table or (number == MAIN_TABLE and priority == _bypass_priority(table)))


def _delete_rule(ip: Any, family: int, message: Any) -> None:
    fields = {"family": family, "priority": message.get_attr("FRA_PRIORITY"), "table": message.get_attr("FRA_TABLE")}
    with contextlib.suppress(NetlinkError):
        ip.rule("del", protocol=PROTOCOL, **fields)
