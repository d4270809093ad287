"""For tests of programs that use Fynx: two real peers in one process, up in milliseconds, and hosts in virtual time."""

from fynx.testing.pair import Pair, pair
from fynx.testing.simulator import Link, Nat, Sent, SimulatedHost, Simulation, simulated_pair

__all__ = ["Link", "Nat", "Pair", "Sent", "SimulatedHost", "Simulation", "pair", "simulated_pair"]
