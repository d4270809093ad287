"""Which prefixes policies protect already, so that a Child SA within them changes no rule of the firewall."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fynx_plugins.tun.plan import Pair
from fynx_plugins.tun.prefixes import Network, inside

Ends = tuple[Network, Network]


class Cover:
    """Asks once per pair of prefix lengths that occurs, not once per policy."""

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        self._known = frozenset(ends for pair in pairs for ends in _ends(pair))
        self._lengths = {(near.version, near.prefixlen, far.prefixlen) for near, far in self._known}

    def __contains__(self, pair: Pair) -> bool:
        """False too where our network lies in the peer's: neighbours in it have a rule of their own."""
        return all(self._has(*ends) and (ends[0] == ends[1] or not inside(*ends)) for ends in _ends(pair))

    def _has(self, near: Network, far: Network) -> bool:
        return any(
            (near.supernet(new_prefix=short), far.supernet(new_prefix=long)) in self._known
            for version, short, long in self._lengths
            if version == near.version and short <= near.prefixlen and long <= far.prefixlen
        )


def _ends(pair: Pair) -> Iterator[Ends]:
    return ((near, far) for near in pair.local for far in pair.remote if near.version == far.version)
