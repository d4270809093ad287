"""``python -m benches.tunnels.static SIDE LOCAL REMOTE CIPHER SAS``: the plane on a TUN device, SAs with fixed keys.

Sockets, device and options are those of ``fynx run``. CIPHER is ``aes128gcm16``, or the file of the null cipher's
library; that gives no known answer, so the self-test is taken out, in this process alone.
"""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import sys

from benches.tables import best
from fynx.esp import choose
from fynx.esp.engine import Engine, make_engine
from fynx.plugin import ChildKeys, ChildSpec, EngineOptions, EspSuite, Path, Policy, Provider, Secret, Selector
from fynx_plugins.tun.config import largest_frame
from fynx_plugins.tun.device import open_tun, quieten

PORT = 4500
DEVICE, MTU = "tun0", {4: 1438, 6: 1418}
SPI = 0x100000
SUITE = EspSuite(20, 128, keyword="aes128gcm16")


def main(side: str, local: str, remote: str, cipher: str, sas: str) -> None:
    family = 6 if ":" in local else 4
    (tun,) = open_tun(DEVICE, vnet=True)
    quieten(DEVICE)
    subprocess.run(["ip", "link", "set", DEVICE, "gso_max_size", str(largest_frame(MTU[family]))], check=True)
    out = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    out.bind((local, PORT))
    engine = make_engine(providers=providers(cipher), capacity=2 * int(sas) + 64)
    engine.configure(EngineOptions())
    engine.add_socket(out.fileno(), out.family, PORT)
    engine.add_tun(tun, MTU[family])
    engine.start()
    path = Path(local, PORT, remote, PORT)
    for number in range(int(sas) - 1):
        far = Selector(number.to_bytes(16, "big"), number.to_bytes(16, "big"))
        install(engine, side, path, number + 1, (far,))
    everything = tuple(Selector(bytes(size), b"\xff" * size) for size in (4, 16))
    install(engine, side, path, 0, everything)
    engine.policies([Policy("protect", everything, everything, 1 << 20, "bench", "0")])
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    engine.stop()


def providers(cipher: str) -> list[Provider]:
    if cipher == SUITE.keyword:
        return [best()[0]]
    null = ctypes.CDLL(cipher)
    null.bench_null_ops.restype = ctypes.c_void_p
    vars(choose)["check_ops"] = lambda *_: None
    return [Provider("null", "", lambda *_: int(null.bench_null_ops()), keep=null)]


def install(engine: Engine, side: str, path: Path, number: int, networks: tuple[Selector, ...]) -> None:
    """SPIs tell the direction in their lowest bit; each SA has a key and a policy of its own."""
    left, right = SPI + 2 * number, SPI + 2 * number + 1
    spi_out, spi_in = (left, right) if side == "left" else (right, left)
    keys = [ChildKeys(Secret(spi.to_bytes(16, "big")), Secret(bytes(4))) for spi in (spi_in, spi_out)]
    child = ChildSpec(
        handle=number + 1,
        peer="bench",
        child=str(number),
        spi_in=spi_in,
        spi_out=spi_out,
        suite=SUITE,
        keys_in=keys[0],
        keys_out=keys[1],
        path=path,
        encap=True,
        mode="tunnel",
        local_ts=networks,
        remote_ts=networks,
    )
    engine.install(child)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main(*sys.argv[1:6])
