"""``python -m benches [NAME [--json] [OPTIONS]]``: the list of benchmarks, or one of them."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence

import benches.aead as aead
import benches.api as api
import benches.checklist as checklist
import benches.crowd as crowd
import benches.esp as esp
import benches.flood as flood
import benches.handshake as handshake
import benches.latency as latency
import benches.loss as loss
import benches.net as net
import benches.plugin as plugin
import benches.refuse as refuse
import benches.responders as responders
import benches.tables as tables
import benches.tunnel as tunnel
from benches.lab import BenchError
from benches.result import Result

Runner = Callable[[Sequence[str]], Result]


def plain(run: Callable[[], Result]) -> Runner:
    """A benchmark without options."""
    return lambda _: run()


BENCHES: dict[str, tuple[str, Runner]] = {
    "handshake": ("IKE_SA_INIT and IKE_AUTH with PSK: per second, CPU of each, time of one", plain(handshake.run)),
    "responder": (
        "CPU of a responder for each handshake: fynx run and charon, in turn (--case, --rounds, --profile)",
        responders.run,
    ),
    "checklist": ("the twelve of the first version: requests, keys, ESP one by one, a handshake", plain(checklist.run)),
    "crowd": ("memory of a tunnel in a process that holds 10,000 (--tunnels)", crowd.run),
    "esp": ("packets per second sealed by each provider, in batches, one per call, and in Python", plain(esp.run)),
    "flood": (
        "seconds until a tunnel stands while strangers flood fynx run (--case, --rounds, --seconds)",
        flood.run,
    ),
    "refuse": ("CPU milliseconds to refuse an offer of hundreds of transforms", plain(refuse.run)),
    "api": ("packets per second through the library: in batches, and one per call", plain(api.run)),
    "net": ("TCP inside a tunnel without root, by lwIP, beside asyncio over loopback", plain(net.run)),
    "tunnel": ("TCP and UDP through Fynx and others, in turn (--case, --system, --rounds, --seconds)", tunnel.run),
    "latency": ("pings through Fynx and other tunnels, in turn (--system, --rounds)", latency.run),
    "loss": ("seconds of each operation on a path that loses 30 % (--times, --case)", loss.run),
    "aead": ("packets per second sealed through the table of functions, beside the bare library", plain(aead.run)),
    "ffi": ("packets per second from Python: one for each call, 64 for each, Python alone", plain(aead.run_ffi)),
    "plugin": ("packets per second sealed by a third party's cipher and by the built-in one", plain(plugin.run)),
    "replay": ("nanoseconds for a sequence number in the window", plain(tables.run_replay)),
    "lookup": ("nanoseconds for an SA among 1 to 100,000, a policy among 1 to 10,000", plain(tables.run_lookup)),
    "install": ("SA pairs installed per second", plain(tables.run_install)),
    "memory": ("octets of an SA pair in C", plain(tables.run_memory)),
}
FAILED, USAGE = 1, 2
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(arguments: list[str]) -> int:
    words = [word for word in arguments if word != "--json"]
    if not words:
        print("\n".join(f"{name:<10} {what}" for name, (what, _) in BENCHES.items()))
        return 0
    name, *options = words
    if name not in BENCHES:
        print(f"no benchmark {name!r}; there are: {', '.join(BENCHES)}", file=sys.stderr)
        return USAGE
    try:
        result = BENCHES[name][1](options)
    except BenchError as error:
        print(f"bench {name}: {error}", file=sys.stderr)
        return FAILED
    print(result.as_json() if "--json" in arguments else result.as_text())
    return 0


def interruptible(arguments: list[str]) -> int:
    """As ``main``, for a process that may be ended."""
    for number in SIGNALS:
        signal.signal(number, _end)
    return main(arguments)


def _end(number: int, _frame: object) -> None:
    """A signal ends a benchmark as any failure does, so that on the way out it stops its programs and deletes its
    namespaces; another one does not interrupt that."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(interruptible(sys.argv[1:]))
