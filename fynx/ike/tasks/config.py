"""The Configuration payload: addresses and what goes with them, asked for and leased (RFC 7296 sections 2.19, 3.15)."""

from __future__ import annotations

from fynx.errors import FynxError
from fynx.events import AddressAssigned, AddressLeased, AddressRefused
from fynx.ike import virtual
from fynx.ike.attributes import Settings, families, read_reply, read_request, reply, request, settings_of
from fynx.ike.exchange import every, maybe
from fynx.ike.policy import PoolPolicy
from fynx.ike.sa import IkeSa
from fynx.ike.virtual import Virtual
from fynx.plugin.extension import Incoming, Outgoing, Running
from fynx.plugin.work import Lease
from fynx.wire.config import CpPayload
from fynx.wire.iana import CpAttribute, CpType
from fynx.wire.payload import NotifyPayload, Payload, SaPayload


class ConfigTask:
    """Between the proof of identity and the first child, so that the child's selectors may use the address.

    As gateway it answers one CFG_REQUEST with one lease; CFG_SET, and what it did not ask for, it passes over.
    """

    def __init__(self, sa: IkeSa) -> None:
        self.sa = sa
        self.answer: list[Payload] = []

    def build(self, out: Outgoing) -> None:
        if out.response:
            out.add(*self.answer)
        elif self.sa.policy.request:
            out.add(request(self.sa.policy.request))

    def process(self, message: Incoming) -> Running:
        payload = maybe(message, CpPayload)
        if message.response:
            self._told(payload)
        elif payload is not None and payload.cfg_type == CpType.CFG_REQUEST:
            childless = maybe(message, SaPayload) is None
            yield from self._asked(payload, childless=childless)

    # Client.

    def _told(self, payload: CpPayload | None) -> None:
        sa, wanted = self.sa, self.sa.policy.request
        if not wanted:
            return
        heard = payload is not None and payload.cfg_type == CpType.CFG_REPLY
        settings = read_reply(payload, wanted) if heard and payload is not None else Settings()
        sa.virtual = Virtual(ours=True, settings=settings, users={sa.serial})
        if families(wanted) and not settings.addresses:
            sa.emit(AddressRefused(sa.peer, str(sa.local_id or ""), "", "the peer gave us no address"))
        if settings != Settings():
            sa.emit(
                AddressAssigned(
                    sa.peer,
                    settings.show_addresses(),
                    settings.show_dns(),
                    settings.domains,
                    settings.show_subnets(),
                    settings.version,
                )
            )

    # Gateway.

    def _asked(self, payload: CpPayload, *, childless: bool) -> Running:
        sa, pool = self.sa, _pool(self.sa)
        if pool is None or sa.remote_id is None:
            return
        asked = read_request(payload)
        addresses: tuple[bytes, ...] = ()
        if asked.versions:
            try:
                addresses = yield Lease(pool.name, sa.remote_id, asked.versions, asked.wanted)
            except FynxError as error:
                sa.emit(AddressRefused(sa.peer, str(sa.remote_id), pool.name, str(error)))
        failed = bool(asked.versions) and not addresses
        settings = settings_of(pool, addresses)
        sa.virtual = Virtual(False, settings, pool.name, sa.remote_id, failed, {sa.serial})
        if not failed:
            self.answer = [reply(asked, settings)]
        elif childless:
            fault = virtual.no_address(sa)
            self.answer = [NotifyPayload(fault.notify, fault.data)]
        self._tell(failed=failed)

    def _tell(self, *, failed: bool) -> None:
        sa, lease = self.sa, self.sa.virtual
        assert lease is not None
        if failed:
            sa.emit(AddressRefused(sa.peer, str(sa.remote_id), lease.pool, virtual.no_address(sa).why))
        elif lease.settings.addresses:
            sa.emit(AddressLeased(sa.peer, str(sa.remote_id), lease.pool, lease.settings.show_addresses()))


class TalkTask:
    """Configuration payloads after IKE_AUTH: a CFG_REQUEST learns our version at most, a CFG_SET changes nothing.

    Nothing is leased here, however often it is asked.
    """

    def __init__(self, sa: IkeSa) -> None:
        self.sa = sa
        self.answer: list[Payload] = []

    def build(self, out: Outgoing) -> None:
        if out.response:
            out.add(*self.answer)

    def process(self, message: Incoming) -> None:
        if message.response:
            return
        for payload in every(message, CpPayload)[:1]:
            if payload.cfg_type == CpType.CFG_REQUEST:
                self.answer = [self._version(payload)]
            elif payload.cfg_type == CpType.CFG_SET:
                self.answer = [CpPayload(CpType.CFG_ACK)]

    def _version(self, payload: CpPayload) -> CpPayload:
        pool, asked = _pool(self.sa), read_request(payload)
        if pool is None or CpAttribute.APPLICATION_VERSION not in asked.types:
            return CpPayload(CpType.CFG_REPLY)
        return reply(asked, Settings(version=pool.version))


def _pool(sa: IkeSa) -> PoolPolicy | None:
    name = sa.policy.pool
    return next((pool for pool in sa.services.policy.pools if pool.name == name), None) if name else None
