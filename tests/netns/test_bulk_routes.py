"""Routes by hand-made netlink messages, against the kernel of the tests' own namespace (rtnetlink(7))."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Iterator

import pytest

from fynx_plugins.tun.bulk import RouteSocket
from fynx_plugins.tun.netlink import METRIC, PROTOCOL
from fynx_plugins.tun.plan import Route

TABLE, NOWHERE = 31_007, 0x7FFF_FFF0
GUARDS = [Route("unreachable", ipaddress.ip_network(f"10.{n >> 8}.{n & 255}.0/24")) for n in range(300)]
GUARDS += [Route("unreachable", ipaddress.ip_network(f"fd00:{n:x}::/64")) for n in range(300)]
GUARDS += [Route("throw", ipaddress.ip_network("192.0.2.1")), Route("unreachable", ipaddress.ip_network("::/0"))]


@pytest.fixture
def kernel() -> Iterator[RouteSocket]:
    made = RouteSocket(PROTOCOL, METRIC)
    yield made
    made.drop(TABLE, 0, GUARDS, (0, errno.ESRCH, errno.ENOENT))
    made.close()


def test_routes_of_many_batches_are_in_the_kernel_and_go_again(kernel: RouteSocket) -> None:
    kernel.add(TABLE, 0, GUARDS, (0,))
    assert sorted(map(str, kernel.found(TABLE))) == sorted(map(str, GUARDS))
    assert list(kernel.found(TABLE + 1)) == []
    kernel.drop(TABLE, 0, GUARDS, (0,))
    assert list(kernel.found(TABLE)) == []


def test_the_first_refusal_is_told_after_all_others_were_carried_out(kernel: RouteSocket) -> None:
    wrong = Route("device", ipaddress.ip_network("10.255.0.0/24"))
    with pytest.raises(OSError, match="netlink") as told:
        kernel.add(TABLE, NOWHERE, [wrong, *GUARDS], (0,))
    assert told.value.errno == errno.ENODEV
    assert len(list(kernel.found(TABLE))) == len(GUARDS)


def test_what_is_there_already_is_refused_unless_that_is_tolerated(kernel: RouteSocket) -> None:
    kernel.add(TABLE, 0, GUARDS[:1], (0,))
    with pytest.raises(OSError, match="netlink") as told:
        kernel.add(TABLE, 0, GUARDS[:2], (0,))
    assert told.value.errno == errno.EEXIST
    kernel.add(TABLE, 0, GUARDS[:2], (0, errno.EEXIST))
