"""OpenVPN in user space (without its kernel module), point to point with certificates known by their fingerprints."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from benches.lab import Daemon, Host, program, upstream
from benches.tunnels.base import Tunnel

CIPHERS = {"aes128gcm16": "AES-128-GCM", "aes256gcm16": "AES-256-GCM", "chacha20poly1305": "CHACHA20-POLY1305"}
MTU = {4: 1440, 6: 1420}


class Openvpn(Tunnel):
    system, short = "openvpn", "ov"

    @property
    def version(self) -> str:  # type: ignore[override]
        return upstream("openvpn")

    def start(self) -> None:
        prints = {host.side: certificate(self.folder, host.side) for host in self.link.hosts}
        daemons = []
        for host in self.link.hosts:
            daemon = Daemon(host, self.folder)
            daemon.start(program("openvpn"), *self._options(host, prints))
            daemons.append(daemon)
        self.daemons = tuple(daemons)

    def _options(self, host: Host, prints: dict[str, str]) -> list[str]:
        other, six = self.link.other(host), self.variant.family == 6
        role = ["--tls-server", "--dh", "none"] if host.side == "left" else ["--tls-client"]
        return [
            *("--dev", "tun", "--disable-dco", "--proto", "udp6" if six else "udp"),
            *("--local", self.outer(host), "--remote", self.outer(other), "--port", "1194"),
            *role,
            *("--ca", str(self.folder / f"{other.side}.crt")),
            *("--cert", str(self.folder / f"{host.side}.crt"), "--key", str(self.folder / f"{host.side}.key")),
            *("--data-ciphers", CIPHERS[self.variant.suite], "--tun-mtu", str(MTU[self.variant.family])),
            *("--ifconfig", *(("198.18.0.1", "198.18.0.2") if host.side == "left" else ("198.18.0.2", "198.18.0.1"))),
            *(
                "--ifconfig-ipv6",
                *(("fd00:9::1/64", "fd00:9::2") if host.side == "left" else ("fd00:9::2/64", "fd00:9::1")),
            ),
            *("--route", other.inner, "255.255.255.255", "--route-ipv6", f"{other.inner6}/128"),
            *("--peer-fingerprint", prints[other.side], "--verb", "3"),
        ]


def certificate(folder: Path, name: str) -> str:
    """Writes a new key and its self-signed certificate; returns its fingerprint."""
    key, who = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .sign(key, hashes.SHA256())
    )
    (folder / f"{name}.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    file = folder / f"{name}.key"
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made.fingerprint(hashes.SHA256()).hex(":").upper()
