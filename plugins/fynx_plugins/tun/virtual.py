"""Leased addresses on the device: there for as long as a Child SA uses them (RFC 7296 section 2.19)."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from fynx_plugins.tun.netlink import Netlink
from fynx_plugins.tun.prefixes import Address


class VirtualAddresses:
    """Two Child SAs that share an address, as one that replaces another does, keep it between them."""

    def __init__(self, netlink: Netlink, device: int) -> None:
        self._netlink, self._device = netlink, device
        self._used: dict[int, tuple[Address, ...]] = {}

    def add(self, handle: int, packed: Sequence[bytes]) -> None:
        """Raises OSError when the kernel refuses."""
        wanted = tuple(ip_address(one) for one in packed)
        fresh = [one for one in wanted if not self._in_use(one)]
        self._used[handle] = wanted
        for address in fresh:
            self._netlink.add_address(self._device, address)

    def drop(self, handle: int) -> bool:
        """True when an address went; routes that prefer it must be gone before."""
        left = [one for one in self._used.pop(handle, ()) if not self._in_use(one)]
        for address in left:
            self._netlink.drop_address(self._device, address)
        return bool(left)

    def _in_use(self, address: Address) -> bool:
        return any(address in found for found in self._used.values())
