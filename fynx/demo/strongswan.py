"""strongSwan at the far end: charon-systemd with kernel-libipsec, configured over VICI by its own client library."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path

from fynx.demo.ends import ESP, IKE, Process, wait_for
from fynx.demo.namespace import DemoError, Place

PLUGINS = (
    "random nonce drbg aesni aes sha1 sha2 hmac kdf gcm curve25519 openssl pem pkcs1 pubkey x509 constraints "
    "kernel-libipsec kernel-netlink socket-default vici"
)
SETTINGS = """\
charon-systemd {{
    load = {plugins}
    plugins {{
        vici {{
            socket = unix://{socket}
        }}
    }}
    filelog {{
        log {{
            path = {folder}/charon.log
            flush_line = yes
            default = 1
        }}
    }}
}}
"""


@dataclass(slots=True)
class StrongswanEnd:
    """Answers: Fynx initiates. The daemon gets its connection over VICI, so nothing under /etc is read or changed."""

    place: Place
    other: Place
    folder: Path
    run_folder: Path
    secret: str
    process: Process = field(init=False)

    def __post_init__(self) -> None:
        self.process = Process(self.place, self.folder)

    @property
    def socket(self) -> Path:
        return self.run_folder / "vici"

    def start(self) -> None:
        settings = self.folder / "strongswan.conf"
        settings.write_text(SETTINGS.format(plugins=PLUGINS, folder=self.folder, socket=self.socket))
        self.process.start(["charon-systemd"], STRONGSWAN_CONF=str(settings))

    def wait_until_ready(self) -> None:
        wait_for(self.socket, self.process)
        try:
            import vici
        except ImportError as error:
            raise DemoError("the package vici is missing: start the demo with ./run demo --peer strongswan") from error
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self.socket))
            session = vici.Session(line)
            session.load_conn({"demo": self._connection()})
            ids = [f"{one.name}.example" for one in (self.place, self.other)]
            session.load_shared({"id": "demo", "type": "IKE", "data": self.secret, "owners": ids})

    def _connection(self) -> dict[str, object]:
        child = {"local_ts": [self.place.network], "remote_ts": [self.other.network], "esp_proposals": [ESP]}
        return {
            "version": "2",
            "local_addrs": [self.place.outer],
            "remote_addrs": [self.other.outer],
            "mobike": "no",
            "proposals": [IKE],
            "local": {"auth": "psk", "id": f"{self.place.name}.example"},
            "remote": {"auth": "psk", "id": f"{self.other.name}.example"},
            "children": {"net": child},
        }

    def stop(self) -> float | None:
        return self.process.stop()
