"""``python -m benches.sampled FILE ARGUMENTS``: ``fynx ARGUMENTS`` that looks every few milliseconds of processor time
where its main thread is. SIGUSR1 starts anew, SIGUSR2 writes the samples by area to FILE."""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from fynx.cli.main import main

EVERY_S = 0.002
AREAS = (
    ("/fynx/wire/", "messages read and written"),
    ("/fynx/ike/negotiate", "negotiation"),
    ("/fynx/ike/keymat", "keys, ciphers, key exchange"),
    ("/fynx/ike/protect", "keys, ciphers, key exchange"),
    *((f"/fynx_plugins/{name}/", "keys, ciphers, key exchange") for name in ("hmac_sha2", "x25519", "aes_gcm", "psk")),
    *((f"/fynx_plugins/{name}/", "keys, ciphers, key exchange") for name in ("ecp", "modp")),
    ("/fynx/ike/", "exchanges and states"),
    ("/fynx_plugins/tun/", "data plane"),
    ("/fynx/esp/", "data plane"),
    ("/fynx_plugins/udp/", "sockets"),
    ("/fynx/run/ports", "sockets"),
    ("/fynx/logs", "log and events"),
    ("/fynx/metrics", "log and events"),
    ("/fynx/kernel/", "log and events"),
    *((f"/fynx/run/{name}", "log and events") for name in ("journal", "words", "gate", "host", "audience", "callers")),
    ("/fynx/run/", "driver"),
    ("/asyncio/", "event loop"),
)


def area(frame: FrameType | None) -> str:
    """Of the innermost frame that belongs to one: what a library does counts where it was called."""
    while frame is not None:
        for part, name in AREAS:
            if part in frame.f_code.co_filename:
                return name
        frame = frame.f_back
    return "the rest"


def sampled(file: Path) -> None:
    found = Counter[str]()
    signal.signal(signal.SIGPROF, lambda _, frame: found.update((area(frame),)))
    signal.signal(signal.SIGUSR1, lambda *_: found.clear())
    signal.signal(signal.SIGUSR2, lambda *_: _write(file, json.dumps(found)))
    signal.siginterrupt(signal.SIGPROF, False)
    signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)
    main()


def _write(file: Path, text: str) -> None:
    """At once: whoever waits for it sees all or nothing."""
    part = file.with_suffix(".part")
    part.write_text(text)
    part.replace(file)


if __name__ == "__main__":
    sampled(Path(sys.argv.pop(1)))
