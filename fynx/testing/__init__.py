"""For tests of programs that use Fynx: two real peers in one process, up in milliseconds, over any weather."""

from fynx.testing.pair import Pair, pair

__all__ = ["Pair", "pair"]
