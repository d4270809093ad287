"""A registry of built-in plugins that need no C and no privilege, and configurations to break one thing in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from fynx.config import Config, load
from fynx.errors import ConfigError, Problem
from fynx.kernel.loader import boot
from fynx.kernel.registry import Registry

PLUGINS = ["aes_gcm", "aes_cbc", "chacha20poly1305", "hmac_sha2", "modp", "ecp", "x25519", "x448", "psk"]
PLUGINS += ["udp", "memory", "inproc", "store_file"]
SECRET = "correct horse battery staple, and then some"

GOOD = f"""\
name: left
plugins: [{", ".join(PLUGINS)}]
host:
  transport: {{udp: {{listen: ["0.0.0.0", "::"], ports: [500, 4500], encap: always}}}}
  plane: {{inproc: {{}}}}
peers:
  hq:
    remote: {{address: vpn.example.net, id: hq.example.net, auth: {{psk: {{secret: "@env:HQ_PSK"}}}}}}
    local:  {{id: branch@example.net,    auth: {{psk: {{secret: "@env:HQ_PSK"}}}}}}
    ike:    [aes256gcm16-prfsha384-x25519, aes128gcm16-prfsha256-ecp256]
    start:  initiate
    children:
      lan: {{local: [10.1.0.0/16], remote: [10.0.0.0/8], esp: [aes256gcm16], mode: tunnel, start: initiate}}
policies: [{{action: bypass, remote: [192.0.2.10/32], priority: 10}}]
"""


@cache
def registry() -> Registry:
    return boot(PLUGINS, selftest=False)


def loaded(text: str, environment: Mapping[str, str] | None = None, base: Path | None = None) -> Config:
    return load(text, registry=registry(), environment={"HQ_PSK": SECRET} | dict(environment or {}), base=base)


def problems(text: str, environment: Mapping[str, str] | None = None, base: Path | None = None) -> list[Problem]:
    """What is wrong with the text; empty when nothing is."""
    try:
        loaded(text, environment, base)
    except ConfigError as error:
        return list(error.problems)
    return []


def changed(old: str, new: str) -> str:
    """``GOOD`` with one thing replaced."""
    assert GOOD.count(old) >= 1, f"{old!r} is not in the example"
    return GOOD.replace(old, new, 1)
