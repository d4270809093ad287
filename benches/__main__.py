"""``python -m benches [NAME [--json]]``: the list of benchmarks, or one of them."""

from __future__ import annotations

import sys
from collections.abc import Callable

import benches.api as api
import benches.esp as esp
import benches.handshake as handshake
from benches.result import Result

BENCHES: dict[str, tuple[str, Callable[[], Result]]] = {
    "handshake": ("IKE_SA_INIT and IKE_AUTH with PSK: per second, CPU of each, time of one", handshake.run),
    "esp": ("packets per second sealed by each provider, in batches, one per call, and in Python", esp.run),
    "api": ("packets per second through the library: in batches, and one per call", api.run),
}
USAGE = 2


def main(arguments: list[str]) -> int:
    names = [word for word in arguments if word != "--json"]
    if not names:
        print("\n".join(f"{name:<10} {what}" for name, (what, _) in BENCHES.items()))
        return 0
    if len(names) > 1 or names[0] not in BENCHES:
        print(f"no benchmark {' '.join(names)!r}; there are: {', '.join(BENCHES)}", file=sys.stderr)
        return USAGE
    result = BENCHES[names[0]][1]()
    print(result.as_json() if "--json" in arguments else result.as_text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
