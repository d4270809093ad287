"""strongSwan's charon with libipsec in a namespace, driven over VICI."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import cast

import vici

from lab.daemon import Daemon
from lab.need import SBIN
from lab.plan import Child, Plan, networks
from lab.topology import Host
from lab.wait import until

PLUGINS = (
    "random nonce drbg aesni aes sha1 sha2 md5 hmac kdf cmac xcbc ctr ccm gcm chapoly curve25519 openssl pem pkcs1"
    " pkcs8 pubkey x509 constraints revocation counters kernel-libipsec kernel-netlink socket-default vici"
)
CONF = """
charon-systemd {{
    load = {plugins}
    {options}
    plugins {{
        vici {{
            socket = unix://{directory}/vici
        }}
    }}
    filelog {{
        log {{
            path = {directory}/charon.log
            flush_line = yes
            default = 1
            ike = 2
            enc = 1
            net = 1
            esp = 2
        }}
    }}
}}
"""
DROPPED = (
    "inbound ESP packet does not belong to an installed SA",
    "no matching outbound IPsec policy for 1",
    "could not find an outbound IPsec SA",
)
Tree = Mapping[str, object]
NOTHING: Tree = MappingProxyType({})


class Refused(Exception):
    """charon says that what was asked did not come about; the text holds its log of the attempt."""


@dataclass(frozen=True, slots=True)
class ChildView:
    """An installed Child SA, from its owner's point of view."""

    spi_in: int
    spi_out: int
    packets_in: int
    packets_out: int
    local: tuple[str, ...]
    remote: tuple[str, ...]


class Charon:
    """One strongSwan. ``options`` are lines of its charon section (``{"cookie_threshold": "1"}``)."""

    kind = "strongswan"

    def __init__(self, host: Host, directory: Path, options: Mapping[str, object]) -> None:
        self.host = host
        self.directory = directory
        self.options = dict(options)
        self._daemon = Daemon(host.namespace, directory, "charon")
        self._session: vici.Session | None = None
        self._socket: socket.socket | None = None

    # Life.

    def start(self) -> None:
        options = "\n    ".join(f"{key} = {value}" for key, value in self.options.items())
        conf = self.directory / "strongswan.conf"
        conf.write_text(CONF.format(plugins=PLUGINS, options=options, directory=self.directory))
        environment = {"STRONGSWAN_CONF": str(conf), "PATH": f"{SBIN}:/usr/bin:/bin"}
        self._daemon.launch("charon-systemd", environment=environment)
        self._socket = until(self._connect, f"charon answers on VICI: {self._daemon.said()}")
        self._session = vici.Session(self._socket)

    def _connect(self) -> socket.socket | None:
        assert self._daemon.running(), f"charon ended: {self._daemon.said()} {self.log()}"
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(str(self.directory / "vici"))
        except OSError:
            client.close()
            return None
        client.settimeout(120.0)
        return client

    def stop(self) -> None:
        self._hang_up()
        self._daemon.end()

    def kill(self) -> None:
        """SIGKILL: no DELETE, no farewell."""
        self._hang_up()
        self._daemon.end(signal.SIGKILL)

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = self._session = None

    def log(self) -> str:
        path = self.directory / "charon.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        """What charon logs inside the block: one text, there when the block has ended."""
        before = len(self.log())
        heard: list[str] = []
        yield heard
        heard.append(self.log()[before:])

    def packets_dropped(self) -> int:
        """Packets of which libipsec says that it dropped them for want of an SA."""
        return sum(self.log().count(words) for words in DROPPED)

    # Configuration.

    def load(self, plan: Plan, other: Host, *, dials: bool = True, children: Tree = NOTHING, **options: object) -> None:
        """Load ``plan`` for this side; ``options`` are further keys of the connection (``dpd_delay="1s"``),
        ``children`` of each child."""
        side = self.host.side
        identity, other_id = plan.identity(side), plan.identity(1 - side)
        target = (other.address6 if plan.ipv6 else other.seen) if dials else "%any"
        connection = {
            "version": "2",
            "mobike": "no",
            "local_addrs": [self.host.address6 if plan.ipv6 else self.host.address],
            "remote_addrs": [target],
            "proposals": list(plan.ike) or ["default"],
            "local": {"auth": "psk", "id": identity},
            "remote": {"auth": "psk", "id": other_id or "%any"},
            "children": {child.name: {**self._child(child), **children} for child in plan.children},
            **options,
        }
        owners = [identity, other_id] if other_id else []
        self._ask("load-shared", {"id": plan.name, "type": "IKE", "data": plan.secret, "owners": owners})
        self._ask("load-conn", {plan.name: connection})

    def load_pool(self, name: str, addresses: str, **attributes: object) -> None:
        """A pool that connections name in ``pools``; ``attributes`` such as ``dns=["10.0.0.53"]``."""
        self._ask("load-pool", {name: {"addrs": addresses, **attributes}})

    def _child(self, child: Child) -> dict[str, object]:
        side = self.host.side
        return {
            "local_ts": list(networks(child, side)),
            "remote_ts": list(networks(child, 1 - side)),
            "esp_proposals": list(child.esp) or ["default"],
        }

    def _ask(self, command: str, message: Tree) -> Tree:
        assert self._session is not None, "not running"
        return cast("Tree", self._session.request(command, message))

    # Deeds.

    def up(self, plan: Plan, child: str = "") -> None:
        """Initiate; raises ``Refused`` when it does not come up."""
        wanted = {"ike": plan.name, "child": child or plan.children[0].name, "timeout": "100000", "loglevel": "1"}
        self._control("initiate", wanted)

    def up_alone(self, plan: Plan) -> None:
        """Initiate the IKE SA without any child (RFC 6023)."""
        self._control("initiate", {"ike": plan.name, "timeout": "8000", "loglevel": "1"})

    def down(self, plan: Plan, child: str = "") -> None:
        """Delete the IKE SA, or only the child that is named, and wait for the peer's answer."""
        wanted = {"child": child} if child else {"ike": plan.name}
        self._control("terminate", {**wanted, "timeout": "100000", "loglevel": "1"})

    def _control(self, command: str, message: Tree) -> None:
        assert self._session is not None, "not running"
        lines: list[str] = []
        try:
            for entry in self._session.streamed_request(command, "control-log", message):
                lines.append(entry.get("msg", b"").decode(errors="replace"))
        except vici.exception.CommandException as error:
            raise Refused(f"{error}: " + "\n".join(lines)) from None

    # Sights.

    def sas(self) -> dict[str, Tree]:
        """IKE SAs by connection name (the newest of a name wins)."""
        assert self._session is not None, "not running"
        found: dict[str, Tree] = {}
        for entry in self._session.streamed_request("list-sas", "list-sa", {}):
            found.update(entry)
        return found

    def established(self, plan: Plan) -> bool:
        sa = self.sas().get(plan.name)
        return sa is not None and sa["state"] == b"ESTABLISHED"

    def ike_sa_count(self) -> int:
        assert self._session is not None, "not running"
        return len(list(self._session.streamed_request("list-sas", "list-sa", {})))

    def suite(self, plan: Plan) -> str:
        """The IKE SA's algorithms as charon names them: ``AES_GCM_16/128/PRF_HMAC_SHA2_256/CURVE_25519``."""
        sa = self.sas()[plan.name]
        keys = ("encr-alg", "encr-keysize", "integ-alg", "prf-alg", "dh-group")
        return "/".join(cast("bytes", sa[key]).decode() for key in keys if key in sa)

    def children(self, plan: Plan) -> dict[str, ChildView]:
        """Installed Child SAs of the plan's IKE SA by the name of their configuration."""
        sa = self.sas().get(plan.name)
        if sa is None:
            return {}
        entries = cast("dict[str, dict[str, object]]", sa["child-sas"])
        installed = [entry for entry in entries.values() if entry["state"] == b"INSTALLED"]
        return {cast("bytes", entry["name"]).decode(): _view(entry) for entry in installed}


def _view(entry: dict[str, object]) -> ChildView:
    def text(key: str) -> str:
        return cast("bytes", entry.get(key, b"0")).decode()

    def texts(key: str) -> tuple[str, ...]:
        return tuple(item.decode() for item in cast("list[bytes]", entry.get(key, [])))

    return ChildView(
        int(text("spi-in"), 16),
        int(text("spi-out"), 16),
        int(text("packets-in")),
        int(text("packets-out")),
        texts("local-ts"),
        texts("remote-ts"),
    )
