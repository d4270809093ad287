"""The C plane as an ``Engine``: Child SAs, policies, batches, counters (RFC 4301, RFC 4303); nothing is per packet."""

from __future__ import annotations

import array
import threading
import weakref
from collections.abc import Mapping, Sequence

from fynx.errors import FynxError, StateError
from fynx.esp._plane import ffi, lib
from fynx.esp.choose import Chooser, Chosen
from fynx.esp.native import Addresses, selectors, upcalls
from fynx.esp.workers import counter_name, drop_name, rates, workers
from fynx.plugin.crypto import IMPLICIT_IV, Algorithms, Provider
from fynx.plugin.dataplane import ChildSpec, Policy, Upcall, Usage
from fynx.plugin.engine import EngineOptions
from fynx.plugin.transport import Path
from fynx.record import record

UPCALL_ROOM = 1 << 18
INNER_ROOM = 1 << 20
SECOND_NS = 1_000_000_000
SEAL_ROOM = 256
"""More than ESP adds to a packet, with the record's own head."""
AGGREGATE_ROOM = 1 << 16
"""For padded payloads at the end of a batch."""
SWITCHES = {"auto": lib.FYNX_AUTO, "off": lib.FYNX_OFF, "force": lib.FYNX_FORCE}
OFFLOADS = ("vnet", "tso", "uso", "gso", "gro")
ACTIONS = {"discard": 0, "bypass": 1, "protect": 2}
MATCHES = ("discard", "bypass", "protect", "none")
REASONS = {
    lib.FYNX_E_MEMORY: "out of memory",
    lib.FYNX_E_ARGUMENT: "the data plane refuses the values",
    lib.FYNX_E_STATE: "sockets and devices are added before the start and before the first SA",
    lib.FYNX_E_SPI: "the SPI is reserved, in use, or its place in the table is taken",
    lib.FYNX_E_KEY: "the cipher refuses the key",
    lib.FYNX_E_FULL: "no room for one more",
    lib.FYNX_E_THREAD: "a thread could not be started, or did not end in time",
    lib.FYNX_E_FORK: "a forked process may not use its parent's data plane: it would repeat IVs",
    lib.FYNX_E_SYSTEM: "the system refused",
    lib.FYNX_E_WORKER: "no worker has this number",
}


NO_DUMMIES = {
    lib.FYNX_E_STATE: "aggregated payloads have padding of their own: iptfs with a rate sends it",
    lib.FYNX_E_ARGUMENT: f"a dummy has {lib.FYNX_DUMMY_LEAST} to {lib.FYNX_PADDED_MAX} octets",
}


@record
class Installed:
    """A Child SA in the plane: the C object, the operations that it uses, where its packets go."""

    child: object
    chosen: Chosen
    path: Path


class Engine:
    """One plane. Calls come from the loop's thread; ``send_inner`` and ``recv_inner`` from any."""

    def __init__(
        self,
        providers: Sequence[Provider],
        algorithms: Algorithms | None,
        *,
        inproc: bool,
        capacity: int,
        measure: bool = False,
    ) -> None:
        self._plane = lib.fynx_plane_new(capacity, int(inproc))
        if self._plane == ffi.NULL:
            raise FynxError("the data plane could not be made: no memory, or no file descriptors")
        self.event_fd: int = lib.fynx_plane_event_fd(self._plane)
        self.inner_fd: int = lib.fynx_plane_inner_fd(self._plane)
        self._inproc, self._stopped = inproc, False
        self._chooser = Chooser(providers, algorithms, measure=measure)
        # At the latest when the interpreter ends: threads must not call back into a dying one.
        self._end = weakref.finalize(self, _end, self._plane, self._chooser)
        self._addresses = Addresses()
        self._padding = 0
        self._installed: dict[int, Installed] = {}
        self._tags: dict[tuple[str, str], int] = {}
        self._names: dict[int, tuple[str, str]] = {}
        self._upcall_room = bytearray(UPCALL_ROOM)
        self._inner_room = bytearray(INNER_ROOM)
        self._inner_lock = threading.Lock()
        self._sockets = 0

    def configure(self, options: EngineOptions) -> None:
        given = ffi.new("struct fynx_options *")
        given.vnet, given.uso = SWITCHES[options.vnet], SWITCHES[options.uso]
        given.gso, given.gro = SWITCHES[options.gso], SWITCHES[options.gro]
        given.spin_us, given.n_cpus = options.spin_us, len(options.cpus)
        for index, cpu in enumerate(options.cpus[: len(given.cpus)]):
            given.cpus[index] = cpu
        _checked(lib.fynx_plane_options(self._plane, given))

    def add_socket(self, fd: int, family: int, local_port: int) -> int:
        self._sockets += 1
        return _checked(lib.fynx_plane_add_socket(self._plane, fd, family, local_port))

    def add_raw(self, fd: int, family: int) -> int:
        return _checked(lib.fynx_plane_add_raw(self._plane, fd, family))

    def add_tun(self, fd: int, mtu: int) -> int:
        return _checked(lib.fynx_plane_add_tun(self._plane, fd, mtu))

    def start(self) -> None:
        _checked(lib.fynx_plane_start(self._plane))

    def restart_worker(self, number: int) -> None:
        """Its threads end behind the batch in hand and begin anew: no packet is lost, no number comes twice."""
        _checked(lib.fynx_worker_restart(self._plane, number))

    def stop(self) -> None:
        """Joins the threads and wipes all keys; idempotent. Counters stay readable."""
        if self._stopped:
            return
        self._stopped = True
        lib.fynx_plane_stop(self._plane)
        for handle in tuple(self._installed):
            self.remove(handle)

    def reserve_spi(self) -> int:
        spi = int(lib.fynx_spi_reserve(self._plane))
        if not spi:
            raise StateError("no SPI is free: the table of SAs is full")
        return spi

    def release_spi(self, spi: int) -> None:
        lib.fynx_spi_release(self._plane, spi)

    def install(self, child: ChildSpec) -> None:
        if child.handle in self._installed:
            raise StateError(f"handle {child.handle} is in use")
        chosen = self._chooser.choose(child.suite)
        made = ffi.new("struct fynx_child **")
        spec, _keep = self._spec(child, chosen)
        _checked(lib.fynx_child_install(self._plane, spec, made))
        self._padding = max(self._padding, min(child.tfc_pad, lib.FYNX_PADDED_MAX))
        self._installed[child.handle] = Installed(made[0], chosen, child.path)

    def activate(self, handle: int) -> None:
        _checked(lib.fynx_child_activate(self._plane, self._find(handle).child))

    def move(self, handle: int, path: Path, encap: bool) -> None:  # noqa: ARG002  a path without ports says it
        installed = self._find(handle)
        _checked(lib.fynx_child_move(self._plane, installed.child, self._addresses.path(path)))
        self._installed[handle] = Installed(installed.child, installed.chosen, path)

    def remove(self, handle: int) -> None:
        installed = self._find(handle)
        del self._installed[handle]
        _checked(lib.fynx_child_remove(self._plane, installed.child))

    def usage(self, handle: int) -> Usage:
        installed = self._find(handle)
        used = ffi.new("struct fynx_usage *")
        lib.fynx_child_usage(installed.child, used)
        drops = {drop_name(i): used.drops[i] for i in range(lib.fynx_sa_drop_count()) if used.drops[i]}
        return Usage(
            packets_in=used.packets_in,
            packets_out=used.packets_out,
            bytes_in=used.bytes_in,
            bytes_out=used.bytes_out,
            drops=drops,
            provider=installed.chosen.info.provider,
            slow=installed.chosen.info.slow,
            sequence_out=used.sequence_out,
            sequence_in=used.sequence_in,
        )

    def policies(self, policies: Sequence[Policy]) -> None:
        specs = ffi.new("struct fynx_policy_spec[]", len(policies))
        keep = []
        for spec, policy in zip(specs, policies, strict=True):
            local, remote = selectors(policy.local), selectors(policy.remote)
            keep += [local, remote]
            spec.priority, spec.action = policy.priority, ACTIONS[policy.action]
            spec.tag = self._tag(policy.peer, policy.child)
            spec.local, spec.n_local = local, len(policy.local)
            spec.remote, spec.n_remote = remote, len(policy.remote)
        _checked(lib.fynx_plane_policies(self._plane, specs, len(policies)))

    def own_addresses(self, addresses: Sequence[bytes]) -> None:
        packed = b"".join(each if len(each) == 16 else bytes(10) + b"\xff\xff" + each for each in addresses)
        _checked(lib.fynx_plane_own_addresses(self._plane, packed, len(addresses)))

    def drain(self) -> Sequence[Upcall]:
        size = lib.fynx_plane_drain(self._plane, ffi.from_buffer(self._upcall_room), UPCALL_ROOM)
        return list(upcalls(memoryview(self._upcall_room)[:size], self._addresses, self._names))

    def send_inner(self, packets: Sequence[bytes]) -> Sequence[tuple[Path, bytes]]:
        """Raises ``StateError`` in a forked process."""
        data, lengths = b"".join(packets), array.array("I", map(len, packets))
        room = bytearray(2 * len(data) + (SEAL_ROOM + self._padding) * len(packets) + AGGREGATE_ROOM)
        size = lib.fynx_plane_send(
            self._plane, data, ffi.from_buffer("uint32_t[]", lengths), len(packets), ffi.from_buffer(room), len(room)
        )
        return self._sealed(memoryview(room)[: _checked(size)])

    def _sealed(self, data: memoryview) -> Sequence[tuple[Path, bytes]]:
        found, at = [], 0
        while at < len(data):
            handle, length = data[at : at + 16].cast("Q")
            installed = self._installed.get(handle)
            if installed is not None:
                found.append((installed.path, bytes(data[at + 16 : at + 16 + length])))
            at += 16 + (length + 7) // 8 * 8
        return found

    def dummies(self, handle: int, count: int, size: int) -> Sequence[tuple[Path, bytes]]:
        """Packets that the peer drops (RFC 4303 section 2.6), so that silence looks like traffic; as ``send_inner``."""
        child = self._find(handle).child
        room = bytearray(count * (size + SEAL_ROOM + self._padding) + 1)
        made = lib.fynx_child_dummies(self._plane, child, count, size, ffi.from_buffer(room), len(room))
        if made in NO_DUMMIES:
            raise StateError(NO_DUMMIES[made])
        return self._sealed(memoryview(room)[: _checked(made)])

    def receive_outer(self, path: Path, packets: Sequence[bytes]) -> None:
        data, lengths = b"".join(packets), array.array("I", map(len, packets))
        pointer = ffi.from_buffer("uint32_t[]", lengths)
        _checked(lib.fynx_plane_receive(self._plane, self._addresses.path(path), data, pointer, len(packets)))

    def receive_clear(self, packets: Sequence[bytes]) -> None:
        """Packets that came in without ESP: the SPD lets pass only what it bypasses (RFC 4301 section 5.2)."""
        data, lengths = b"".join(packets), array.array("I", map(len, packets))
        pointer = ffi.from_buffer("uint32_t[]", lengths)
        _checked(lib.fynx_plane_receive_clear(self._plane, data, pointer, len(packets)))

    def recv_inner(self, limit: int = 256) -> Sequence[bytes]:
        found, at = [], 0
        with self._inner_lock:
            size = lib.fynx_plane_recv(self._plane, limit, ffi.from_buffer(self._inner_room), INNER_ROOM)
            data = memoryview(self._inner_room)[:size]
            while at < size:
                length = int.from_bytes(data[at : at + 4], "little" if LITTLE else "big")
                found.append(bytes(data[at + 4 : at + 4 + length]))
                at += 4 + (length + 3) // 4 * 4
        return found

    def send_flat(self, data: bytearray, lengths: array.array[int], count: int) -> Sequence[tuple[Path, bytes]]:
        """As ``send_inner``: ``count`` packets that lie end to end in ``data``."""
        room = bytearray(1 if self._sockets else sum(lengths[:count]) + SEAL_ROOM * count + 1)
        pointer = ffi.from_buffer("uint32_t[]", lengths)
        size = lib.fynx_plane_send(self._plane, ffi.from_buffer(data), pointer, count, ffi.from_buffer(room), len(room))
        return self._sealed(memoryview(room)[: _checked(size)])

    def recv_flat(self, room: bytearray, limit: int = 256) -> int:
        """As ``recv_inner``, into ``room``: for each packet 4 octets of length, then the packet padded to 4."""
        return int(lib.fynx_plane_recv(self._plane, limit, ffi.from_buffer(room), len(room)))

    def match(self, packet: bytes) -> str:
        return MATCHES[_checked(lib.fynx_plane_match(self._plane, packet, len(packet)))]

    def status(self) -> Mapping[str, object]:
        info = ffi.new("struct fynx_plane_info *")
        lib.fynx_plane_info(self._plane, info)
        in_use, counted = self._chooser.in_use, self.counters()
        return {
            "mode": "inproc" if self._inproc else "tun",
            "running": bool(info.running),
            "threads": info.threads,
            "sas": info.sas,
            "rules": info.rules,
            "retired": info.retired,
            "capacity": info.capacity,
            "bytes_per_sa": info.bytes_per_sa,
            "keys": {"locked": info.keys_locked, "unlocked": info.keys_unlocked},
            "providers": {each.name: each.provider for each in in_use},
            "slow": [each.name for each in in_use if each.slow],
            "refused": dict(self._chooser.refused),
            "measured_ns": dict(self._chooser.measured),
            "offloads": {name: bool(getattr(info, name)) for name in OFFLOADS},
            "raw_sockets": info.raw,
            "rates": rates(counted),
            "workers": workers(self._plane),
            "counters": counted,
        }

    def counters(self) -> dict[str, int]:
        """Names of ``cext/drops.h``; drops with the prefix ``drop_``."""
        counters = ffi.new("uint64_t[]", lib.fynx_counter_count())
        drops = ffi.new("uint64_t[]", lib.fynx_drop_count())
        lib.fynx_plane_counters(self._plane, counters, drops)
        named = {counter_name(i): int(value) for i, value in enumerate(counters)}
        return named | {f"drop_{drop_name(i)}": int(value) for i, value in enumerate(drops)}

    def set_sequence(self, handle: int, last_out: int) -> None:
        """Moves the outbound sequence number forwards (take-over of an SA; tests of its end). Never backwards."""
        lib.fynx_child_set_sequence(self._find(handle).child, last_out)

    def _find(self, handle: int) -> Installed:
        try:
            return self._installed[handle]
        except KeyError:
            raise StateError(f"no Child SA has handle {handle}") from None

    def _tag(self, peer: str, child: str) -> int:
        tag = self._tags.setdefault((peer, child), len(self._tags) + 1)
        self._names[tag] = (peer, child)
        return tag

    def _spec(self, child: ChildSpec, chosen: Chosen) -> tuple[object, object]:
        """The structure, and what its pointers point to."""
        info = chosen.info
        for keys in (child.keys_in, child.keys_out):
            if (len(keys.key), len(keys.salt)) != (info.key_len, info.salt_len):
                raise FynxError(f"keys of another length than {info.name} wants")
        local, remote = selectors(child.local_ts), selectors(child.remote_ts)
        secrets = [
            ffi.from_buffer("uint8_t[]", secret.reveal() or b"\0")
            for keys in (child.keys_in, child.keys_out)
            for secret in (keys.key, keys.salt)
        ]
        spec = ffi.new("struct fynx_child_spec *")
        spec.handle, spec.tag, spec.ops = child.handle, self._tag(child.peer, child.child), chosen.address
        spec.spi_in, spec.spi_out, spec.window = child.spi_in, child.spi_out, child.window
        spec.esn, spec.outbound = child.suite.esn, child.outbound
        spec.resource = child.resource
        spec.pad_to = child.tfc_pad if child.tfc_allowed else 0
        spec.implicit_iv = child.suite.encr_id in IMPLICIT_IV
        if child.aggregation is not None:
            spec.aggfrag = 1 | child.aggregation.whole << 1 | child.aggregation.pad << 2
            spec.aggfrag_size = child.aggregation.payload
            spec.pace_ns = SECOND_NS // child.aggregation.rate if child.aggregation.rate else 0
        elif child.dummies is not None:
            spec.pace_ns = round(child.dummies.interval_s * SECOND_NS)
            spec.pace_jitter, spec.dummy_len = round(child.dummies.jitter * 1000), child.dummies.size
        spec.key_in, spec.salt_in, spec.key_out, spec.salt_out = secrets
        spec.path = self._addresses.path(child.path)[0]
        spec.local, spec.n_local = local, len(child.local_ts)
        spec.remote, spec.n_remote = remote, len(child.remote_ts)
        spec.transport, spec.translated = child.mode == "transport", child.translated is not None
        if child.translated is not None:
            spec.source, spec.destination = (address.ljust(16, b"\0") for address in child.translated)
        return spec, (local, remote, secrets)


LITTLE = int.from_bytes(array.array("H", [1]).tobytes(), "little") == 1


def _end(plane: object, chooser: Chooser) -> None:
    lib.fynx_plane_free(plane)
    chooser.close()


def _checked(result: int) -> int:
    if result < 0:
        raise StateError(REASONS.get(result, f"the data plane answered {result}"))
    return result


def make_engine(
    *,
    providers: Sequence[Provider],
    inproc: bool = False,
    capacity: int = 4096,
    algorithms: Algorithms | None = None,
    measure: bool = False,
) -> Engine:
    """``MakeEngine`` of ``fynx.plugin``. ``algorithms`` serve through Python what no provider has; ``measure``: the
    fastest provider serves a suite, not the first."""
    return Engine(providers, algorithms, inproc=inproc, capacity=capacity, measure=measure)


__all__ = ["Engine", "make_engine"]
