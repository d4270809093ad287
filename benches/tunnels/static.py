"""``python -m benches.tunnels.static SIDE LOCAL REMOTE LIBRARY``: the plane on a TUN device, one SA with a fixed key.

Sockets, device and options are those of ``fynx run``; the cipher is the library's, which gives no known answer: so the
self-test is taken out, in this process alone.
"""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import sys

from fynx.esp import choose
from fynx.esp.engine import make_engine
from fynx.plugin import ChildKeys, ChildSpec, EngineOptions, EspSuite, Path, Policy, Provider, Secret, Selector
from fynx_plugins.tun.config import largest_frame
from fynx_plugins.tun.device import open_tun, quieten

PORT = 4500
DEVICE, MTU = "tun0", {4: 1438, 6: 1418}
SPIS = {"left": 0x1001, "right": 0x1002}
AES_GCM_16 = 20


def main(side: str, local: str, remote: str, library: str) -> None:
    family = 6 if ":" in local else 4
    null = ctypes.CDLL(library)
    null.bench_null_ops.restype = ctypes.c_void_p
    vars(choose)["check_ops"] = lambda *_: None
    provider = Provider("null", "", lambda *_: int(null.bench_null_ops()), keep=null)
    (tun,) = open_tun(DEVICE, vnet=True)
    quieten(DEVICE)
    subprocess.run(["ip", "link", "set", DEVICE, "gso_max_size", str(largest_frame(MTU[family]))], check=True)
    out = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    out.bind((local, PORT))
    engine = make_engine(providers=[provider])
    engine.configure(EngineOptions())
    engine.add_socket(out.fileno(), out.family, PORT)
    engine.add_tun(tun, MTU[family])
    engine.start()
    everything = tuple(Selector(bytes(size), b"\xff" * size) for size in (4, 16))
    keys = ChildKeys(Secret(bytes(16)), Secret(bytes(4)))
    other = "right" if side == "left" else "left"
    engine.install(
        ChildSpec(
            handle=1,
            peer="bench",
            child="bench",
            spi_in=SPIS[other],
            spi_out=SPIS[side],
            suite=EspSuite(AES_GCM_16, 128, keyword="aes128gcm16"),
            keys_in=keys,
            keys_out=keys,
            path=Path(local, PORT, remote, PORT),
            encap=True,
            mode="tunnel",
            local_ts=everything,
            remote_ts=everything,
        )
    )
    engine.policies([Policy("protect", everything, everything, 100, "bench", "bench")])
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    engine.stop()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main(*sys.argv[1:5])
