"""strongSwan with kernel-libipsec: charon-systemd at both ends, driven over VICI."""

from __future__ import annotations

import socket
from pathlib import Path

from benches.lab import Daemon, Host, program, until, upstream
from benches.tunnels.base import Tunnel

PLUGINS = (
    "random nonce drbg aesni aes sha1 sha2 hmac kdf gcm chapoly curve25519 openssl pem pkcs1 pubkey x509 constraints "
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
            path = {folder}/{side}-charon.log
            default = 1
        }}
    }}
}}
"""
SECRET = "a pre-shared key of more than thirty-two octets"


class Strongswan(Tunnel):
    system, short = "strongswan", "sw"

    @property
    def version(self) -> str:  # type: ignore[override]
        return upstream("charon-systemd")

    def start(self) -> None:
        for host in self.link.hosts:
            self.launch(host)
        for host in self.link.hosts:
            self._configure(host)
        self._ask(self.link.left, "initiate", {"ike": "bench", "child": "net", "timeout": "10000"})

    def launch(self, host: Host) -> None:
        """A charon that knows no connection yet."""
        settings = self.folder / f"{host.side}.conf"
        text = SETTINGS.format(plugins=PLUGINS, folder=self.folder, side=host.side, socket=self._socket(host))
        settings.write_text(text)
        daemon = Daemon(host, self.folder)
        daemon.start(program("charon-systemd"), STRONGSWAN_CONF=str(settings))
        self.daemons = (*self.daemons, daemon)

        def there() -> bool:
            daemon.check()
            return self._socket(host).exists()

        until(there, "charon opens its socket")

    def _socket(self, host: Host) -> Path:
        return Path(f"/run/fynx/{host.namespace}.vici")

    def _configure(self, host: Host) -> None:
        other = self.link.other(host)
        child = {
            "local_ts": [self.network(host)],
            "remote_ts": [self.network(other)],
            "esp_proposals": [self.variant.suite],
        }
        owners = [f"{one.side}.example" for one in (host, other)]
        connection = {
            "version": "2",
            "local_addrs": [self.outer(host)],
            "remote_addrs": [self.outer(other)],
            "mobike": "no",
            "proposals": ["aes256gcm16-prfsha384-x25519"],
            "local": {"auth": "psk", "id": owners[0]},
            "remote": {"auth": "psk", "id": owners[1]},
            "children": {"net": child},
        }
        self._ask(host, "load-conn", {"bench": connection})
        self._ask(host, "load-shared", {"id": "bench", "type": "IKE", "data": SECRET, "owners": owners})

    def _ask(self, host: Host, command: str, message: dict[str, object]) -> None:
        import vici

        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(20)
            until(lambda: _connected(line, self._socket(host)), "charon answers")
            session = vici.Session(line)
            if command == "initiate":
                list(session.initiate(message))
            else:
                session.request(command, message)


def _connected(line: socket.socket, path: Path) -> bool:
    try:
        line.connect(str(path))
    except OSError:
        return False
    return True
