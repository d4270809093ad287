"""The far end of the tests of this folder, and a certificate for its TLS."""

from __future__ import annotations

import datetime
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import fynx
from tests.unit.api.loops import KEY

CONFIG = f"""
host: {{transport: {{udp: {{listen: ["127.0.0.1"], ports: [0]}}}}, plane: {{inproc: {{}}}}}}
peers:
  road:
    remote: {{address: any, id: any, auth: {{psk: {{secret: "{KEY}"}}}}}}
    local: {{id: gw.test, auth: {{psk: {{secret: "{KEY}"}}}}}}
    children: {{net: {{local: 203.0.113.0/24, remote: 198.51.100.0/24}}}}
"""
NEAR = "198.51.100.7"


@dataclass
class Far:
    """``tunnel(…)`` is a client of it, to be used by ``async with``; ``says()`` the next line that it prints."""

    process: subprocess.Popen[str]
    port: int
    certificate: Path
    serving: bool = False

    def tunnel(self, identity: str = "c.test", **options: Any) -> Any:
        given = {"local_networks": (NEAR,), "remote_networks": ("203.0.113.0/24",), **options}
        auth = fynx.psk(identity, KEY)
        return Opened(self, fynx.connect(("127.0.0.1", self.port), auth=auth, remote_id="gw.test", **given))

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


class Opened:
    """The far end's servers start with its first tunnel."""

    def __init__(self, far: Far, opening: Any) -> None:
        self._far, self._opening = far, opening

    async def __aenter__(self) -> fynx.IpsecClient:
        client: fynx.IpsecClient = await self._opening.__aenter__()
        if not self._far.serving:
            assert self._far.says() == "serving"
            self._far.serving = True
        return client

    async def __aexit__(self, *error: Any) -> None:
        await self._opening.__aexit__(*error)


@pytest.fixture(scope="session")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    certificate = self_signed(tmp_path_factory.mktemp("far") / "cert.pem")
    line = [sys.executable, str(Path(__file__).with_name("far.py")), CONFIG, str(certificate)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Far(process, int(process.stdout.readline()), certificate)
        finally:
            process.kill()


def self_signed(path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "far.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("far.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path
