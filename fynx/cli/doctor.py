"""``fynx doctor``: what this machine has and lacks for a tunnel, with the line that helps."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import importlib
import os
import resource
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click

from fynx.cli.enabled import registry
from fynx.cli.options import config_file, config_option, json_option
from fynx.cli.output import as_json as print_json
from fynx.cli.output import table
from fynx.config import load
from fynx.errors import ConfigError, PluginError
from fynx.faults import Io
from fynx.kernel.registry import Registry
from fynx.run.failures import NOT_RUNNING, PERMISSION
from fynx.run.files import default_directory

TUN = Path("/dev/net/tun")
TUNGETFEATURES, IFF_MULTI_QUEUE, IFF_VNET_HDR = 0x800454CF, 0x0100, 0x4000
"""linux/if_tun.h."""
BATCHES = {"UDP_SEGMENT": 103, "UDP_GRO": 104}
"""linux/udp.h."""
MOST_WORKERS = 15
NET_ADMIN, NET_BIND, IPC_LOCK = 12, 10, 14
"""Bits of the capability sets in /proc/self/status (capabilities(7))."""
PORTS = (500, 4500)
LOCKED = 1 << 20
"""Octets of keys for some hundred tunnels."""

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; ``code`` is the exit code that a failure of it leads to."""

    name: str
    verdict: Verdict
    text: str
    remedy: str = ""
    code: int = PERMISSION


@click.command()
@config_option
@json_option
def doctor(config: Path | None, as_json: bool) -> int:
    """Look at this machine: privileges, devices, ports, libraries, firewall.

    Exit code 0 when a tunnel can be run, 4 when a privilege or a package is missing, 3 when only a port is taken.
    """
    findings = [*machine(), _reverse_path(config), *libraries(config)]
    failed = [each for each in findings if each.verdict == "fail"]
    if as_json:
        print_json("doctor", {"ok": not failed, "findings": [asdict(each) for each in findings]})
    else:
        table(["", "what", "found"], [[_sign(each), each.name, each.text] for each in findings])
        for each in findings:
            if each.remedy and each.verdict != "ok":
                click.echo(f"{each.name}: try: {each.remedy}", err=True)
    return max((each.code for each in failed), default=0)


def machine() -> Iterator[Finding]:
    """What does not depend on a configuration."""
    yield _python()
    yield from _privileges()
    yield _tun()
    yield _frames()
    yield _workers()
    for port in PORTS:
        yield _port(port)
    yield _ipv6()
    yield _batches()
    yield _raw_esp()
    yield _locked_memory()
    yield _nft()
    yield _forwarding()
    yield _run_directory()
    yield _compiled()


def libraries(config: Path | None) -> Iterator[Finding]:
    """The providers of ciphers for the C loop that the plugins found."""
    try:
        booted = registry(config)
    except (ConfigError, PluginError) as error:
        yield Finding("plugins", "fail", str(error).splitlines()[0], "fynx check", 5)
        return
    yield _providers(booted)
    yield _sockets()


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", "ok" if sys.version_info >= (3, 11) else "fail", version, "apt-get install python3.11")


def _privileges() -> Iterator[Finding]:
    held = _capabilities()
    line = f"sudo {sys.executable} -m fynx run -c FILE"
    for name, bit, why in (
        ("CAP_NET_ADMIN", NET_ADMIN, "devices, routes and firewall rules of the plane `tun`"),
        ("CAP_NET_BIND_SERVICE", NET_BIND, "ports 500 and 4500"),
    ):
        if held >> bit & 1:
            yield Finding(name, "ok", why)
        else:
            yield Finding(
                name, "warn", f"missing; needed for {why}; the plane `inproc` and high ports do without", line
            )


def _tun() -> Finding:
    try:
        os.close(os.open(TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        remedy = "sudo modprobe tun" if error.errno in (errno.ENOENT, errno.ENODEV) else f"sudo chmod 0666 {TUN}"
        return Finding(str(TUN), "fail", error.strerror or str(error), remedy)
    return Finding(str(TUN), "ok", "can be opened")


def _tun_features() -> int:
    """What any device of the kernel's may have, 0 where they cannot be asked for."""
    with contextlib.suppress(OSError):
        fd = os.open(TUN, os.O_RDWR | os.O_CLOEXEC)
        try:
            return int.from_bytes(fcntl.ioctl(fd, TUNGETFEATURES, bytes(4)), sys.byteorder)
        finally:
            os.close(fd)
    return 0


def _frames() -> Finding:
    if not _tun_features() & IFF_VNET_HDR:
        return Finding("TUN frames", "warn", "the kernel has none: a system call for each packet, several times slower")
    return Finding("TUN frames", "ok", "of TCP; whether of UDP too is seen with the device, and told by `status`")


def _workers() -> Finding:
    """What ``workers: auto`` of the plane ``tun`` comes to."""
    processors = len(os.sched_getaffinity(0))
    if not _tun_features() & IFF_MULTI_QUEUE:
        return Finding("workers", "warn", f"{processors} processors, but TUN devices of one queue: one worker")
    return Finding(
        "workers",
        "ok",
        f"{processors} processors, TUN devices of many queues: `workers: auto` makes {min(processors, MOST_WORKERS)}",
    )


def _port(port: int) -> Finding:
    name = f"UDP port {port}"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("0.0.0.0", port))  # noqa: S104  probing what the host would bind
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return Finding(name, "fail", "taken by another program", f"sudo ss -lunp 'sport = :{port}'", NOT_RUNNING)
        return Finding(name, "warn", error.strerror or str(error))
    return Finding(name, "ok", "free")


def _ipv6() -> Finding:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::", 0))
    except OSError as error:
        return Finding("IPv6", "warn", f"not available ({error.strerror}): only IPv4 outside")
    return Finding("IPv6", "ok", "available")


def _batches() -> Finding:
    """UDP GSO and GRO (udp(7))."""
    missing = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for name, option in BATCHES.items():
            try:
                probe.setsockopt(socket.IPPROTO_UDP, option, 0)
            except OSError:
                missing.append(name)
    if missing:
        text = f"the kernel lacks {' and '.join(missing)}: a tunnel is several times slower"
        return Finding("datagram batches", "warn", text)
    return Finding("datagram batches", "ok", "UDP_SEGMENT and UDP_GRO")


def _raw_esp() -> Finding:
    """What ``host.transport.udp.encap: auto`` needs; nobody else does, so that it is never a fault."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, 50).close()
    except OSError as error:
        text = f"not available ({error.strerror}): `encap: auto` cannot start, `encap: always` does without"
        return Finding("ESP without UDP", "ok", text)
    return Finding("ESP without UDP", "ok", "available for `encap: auto`; without batches it is several times slower")


def _locked_memory() -> Finding:
    """Keys of the C plane are kept from the swap (mlock(2)); ``status`` tells under ``keys`` what could not be."""
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if _capabilities() >> IPC_LOCK & 1 or limit == resource.RLIM_INFINITY:
        return Finding("locked memory", "ok", "no limit")
    text = f"{limit} octets may be locked"
    if limit >= LOCKED:
        return Finding("locked memory", "ok", text)
    return Finding("locked memory", "warn", f"{text}: keys may be swapped to disk", "ulimit -l unlimited")


def _nft() -> Finding:
    found = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        text = "missing: DISCARD policies and clear packets from outside cannot be dropped"
        return Finding("nft", "warn", text, "sudo apt-get install -y nftables")
    return Finding("nft", "ok", found)


def _reverse_path(config: Path | None) -> Finding:
    """The larger of a device's own value and that of all counts (linux/Documentation/networking/ip-sysctl.rst)."""
    values = {path.parent.name: _read(path) for path in sorted(Path("/proc/sys/net/ipv4/conf").glob("*/rp_filter"))}
    of_all = values.pop("all", "0")
    strict = [name for name, value in values.items() if max(value, of_all) == "1" and name not in ("lo", "default")]
    if not strict:
        return Finding("rp_filter", "ok", "not strict")
    hosts = ", ".join(_in_transport_mode(config))
    what = f"nothing that {hosts} sends gets through: the way back to it is the tunnel's device"
    wide = "a peer that moves to a new address may be dropped while a tunnel takes all"
    text = f"strict on {', '.join(strict)}: {what if hosts else wide}"
    return Finding("rp_filter", "warn", text, "sudo sysctl -w net.ipv4.conf.all.rp_filter=2")


def _in_transport_mode(given: Path | None) -> list[str]:
    """Peers with a child in transport mode, as far as the configuration can be used."""
    try:
        peers = load(config_file(given)).peers
    except (ConfigError, PluginError):
        return []
    return [name for name, peer in peers.items() if any(one.mode == "transport" for one in peer.children.values())]


def _forwarding() -> Finding:
    """Only gateways need it, so that it is never a fault."""
    on = [name for name, key in _FORWARDING.items() if _read(Path("/proc/sys/net", key)) == "1"]
    if on:
        return Finding("forwarding", "ok", f"on for {' and '.join(on)}")
    return Finding("forwarding", "ok", "off: this machine's own traffic alone; a gateway needs net.ipv4.ip_forward=1")


_FORWARDING = {"IPv4": "ipv4/ip_forward", "IPv6": "ipv6/conf/all/forwarding"}


def _run_directory() -> Finding:
    directory = default_directory()
    parent = next(each for each in (directory, *directory.parents) if each.exists())
    if os.access(parent, os.W_OK):
        return Finding("run directory", "ok", str(directory))
    line = f"sudo install -d -m 0700 -o {os.geteuid()} {directory}"
    return Finding("run directory", "fail", f"{directory} cannot be written", line)


def _compiled() -> Finding:
    try:
        importlib.import_module("fynx.esp.engine")
    except ImportError as error:
        line = f"sudo apt-get install -y gcc python3-dev && {sys.executable} build_ffi.py"
        return Finding("C plane", "fail", f"not built ({error.name or error})", line)
    return Finding("C plane", "ok", "built")


def _providers(booted: Registry) -> Finding:
    found = [f"{provider.name} {provider.version}".strip() for provider in booted.providers]
    if not found:
        return Finding("providers", "warn", "none: every cipher runs through Python and is slow", "fynx plugins")
    return Finding("providers", "ok", ", ".join(found))


def _sockets() -> Finding:
    """lwIP, for TCP inside a tunnel without a TUN device; nothing else wants it."""
    from fynx.net.library import load

    try:
        load()
    except Io as error:
        return Finding("lwip", "warn", error.reason, error.remedy)
    return Finding("lwip", "ok", "TCP and UDP inside tunnels without root")


def _capabilities() -> int:
    for line in _read(Path("/proc/self/status")).splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _sign(finding: Finding) -> str:
    return {"ok": "ok", "warn": "warning", "fail": "FAIL"}[finding.verdict]


__all__ = ["Finding", "doctor", "libraries", "machine"]
