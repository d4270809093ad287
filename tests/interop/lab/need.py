"""What the laboratory needs on this machine; what is missing fails the run with its install line."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

PROGRAMS = {
    "ip": "iproute2",
    "nft": "nftables",
    "setpriv": "util-linux",
    "tshark": "tshark",
    "charon-systemd": "charon-systemd",
    "swanctl": "strongswan-swanctl",
}
FILES = {
    "/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so": "libcharon-extra-plugins",
    "/usr/lib/ipsec/plugins/libstrongswan-vici.so": "strongswan-swanctl",
    "/usr/lib/ipsec/plugins/libstrongswan-gcm.so": "libstrongswan-standard-plugins",
    "/usr/lib/ipsec/plugins/libstrongswan-curve25519.so": "libstrongswan-extra-plugins",
}
SBIN = "/usr/sbin:/sbin"


def missing() -> list[str]:
    """Plain sentences about what is missing, empty when everything is here."""
    path = f"{os.environ.get('PATH', '')}:{SBIN}"
    packages = {package for program, package in PROGRAMS.items() if shutil.which(program, path=path) is None}
    packages |= {package for file, package in FILES.items() if not Path(file).exists()}
    faults = []
    if packages:
        line = f"DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {' '.join(sorted(packages))}"
        faults.append(f"programs are missing; as root: {line}")
    if os.geteuid() != 0:
        faults.append("network namespaces need root: run the interoperability tests as root")
    if not Path("/dev/net/tun").exists():
        faults.append("there is no /dev/net/tun: modprobe tun")
    return faults
