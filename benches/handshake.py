"""Handshakes with PSK: IKE_SA_INIT, IKE_AUTH with a Child SA, and the DELETE that makes room for the next.

``memory``: both hosts in one process and one event loop, so one core does both sides. ``udp``: two processes over
loopback, ten peers at once; ``one`` is a single handshake from the command to the installed Child SA, with nothing
else going on.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version

from benches.result import RUNS, Result
from fynx.config import load
from fynx.config.model import Choice, Config
from fynx.demo.relay import HOST, free_port
from fynx.run.host import Host
from fynx_plugins.memory import MemoryConfig, Switchboard

PEERS = 10
CYCLES = 8
SINGLES = 20
SUITES = ("aes256gcm16-prfsha384-x25519", "aes128gcm16-prfsha256-ecp256", "aes128gcm16-prfsha256-modp2048")
SECRET = {"BENCH_PSK": "a pre-shared key of more than thirty-two octets"}

PEER = """\
  {name}:
    remote: {{address: "{address}", port: {port}, id: {remote}, auth: {{psk: {{secret: "@env:BENCH_PSK"}}}}}}
    local: {{id: {local}, auth: {{psk: {{secret: "@env:BENCH_PSK"}}}}}}
    ike: [{suite}]
    start: none
    children:
      net: {{local: [198.51.{own}.{n}/32], remote: [198.51.{other}.{n}/32], esp: [aes128gcm16]}}
"""
HEAD = """\
name: {name}
host:
  transport: {{udp: {{listen: ["127.0.0.1"], ports: [{port}]}}}}
  plane: {{inproc: {{}}}}
peers:
"""


def configuration(*, initiator: bool, suite: str, own_port: int, other_port: int) -> Config:
    """Ten peers, each with identities and an inner address of its own."""
    own, other = ("initiator", "responder") if initiator else ("responder", "initiator")
    text = HEAD.format(name=own, port=own_port)
    for n in range(1, PEERS + 1):
        text += PEER.format(
            name=f"peer{n}",
            address=HOST if initiator else "any",
            port=other_port,
            remote=f"{other}{n}.example",
            local=f"{own}{n}.example",
            suite=suite,
            own=100 if initiator else 101,
            other=101 if initiator else 100,
            n=n,
        )
    return load(text, environment=SECRET)


def run() -> Result:
    result = Result("handshake")
    for suite in SUITES:
        asyncio.run(in_memory(result, suite))
        asyncio.run(over_udp(result, suite))
    return result


async def in_memory(result: Result, suite: str) -> None:
    network = Switchboard()
    hosts = []
    for index, initiator in enumerate((False, True)):
        config = configuration(initiator=initiator, suite=suite, own_port=4500, other_port=4500)
        section = MemoryConfig(address=f"127.0.0.{1 if not initiator else 2}", ports=(500, 4500), network=network)
        host = Host(replace(config, host=replace(config.host, transport=Choice("memory", section))), config.registry)
        hosts.append(host)
        await hosts[index].start()
    try:
        found = [await rate(hosts[1], time.process_time) for _ in range(RUNS)]
    finally:
        for host in reversed(hosts):
            await host.stop()
    ours = version("fynx-ipsec")
    result.add(f"memory-{suite}", "fynx", ours, [one[0] for one in found], "handshakes/s")
    result.add(f"memory-{suite}-cpu-both", "fynx", ours, [one[1] for one in found], "ms CPU")


async def over_udp(result: Result, suite: str) -> None:
    ports = free_port(), free_port()
    command = [sys.executable, "-m", "benches.responder", suite, str(ports[1]), str(ports[0])]
    responder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    ask(responder)
    config = configuration(initiator=True, suite=suite, own_port=ports[0], other_port=ports[1])
    host = Host(config, config.registry)
    await host.start()
    try:
        rounds = [await udp_round(host, responder) for _ in range(RUNS)]
        singles = [await single(host) for _ in range(SINGLES)]
    finally:
        await host.stop()
        responder.communicate()
    ours = version("fynx-ipsec")
    result.add(f"udp-{suite}", "fynx", ours, [one[0] for one in rounds], "handshakes/s")
    result.add(f"udp-{suite}-cpu-initiator", "fynx", ours, [one[1] for one in rounds], "ms CPU")
    result.add(f"udp-{suite}-cpu-responder", "fynx", ours, [one[2] for one in rounds], "ms CPU")
    result.add(f"udp-{suite}-one", "fynx", ours, singles, "ms")


def ask(responder: subprocess.Popen[str]) -> float:
    """The responder's CPU seconds so far."""
    assert responder.stdin is not None
    assert responder.stdout is not None
    responder.stdin.write("\n")
    return float(json.loads(responder.stdout.readline()))


async def udp_round(host: Host, responder: subprocess.Popen[str]) -> tuple[float, float, float]:
    before = ask(responder)
    per_second, ours = await rate(host, time.process_time)
    theirs = (ask(responder) - before) / (PEERS * CYCLES) * 1000
    return per_second, ours, theirs


async def rate(host: Host, cpu: Callable[[], float]) -> tuple[float, float]:
    """Handshakes per second and milliseconds of CPU for each, over all peers at once."""
    began, spent = time.perf_counter(), cpu()
    await asyncio.gather(*(cycles(host, f"peer{n}") for n in range(1, PEERS + 1)))
    count = PEERS * CYCLES
    return count / (time.perf_counter() - began), (cpu() - spent) / count * 1000


async def cycles(host: Host, peer: str) -> None:
    for _ in range(CYCLES):
        await host.up(peer)
        await host.down(peer)


async def single(host: Host) -> float:
    began = time.perf_counter()
    await host.up("peer1")
    took = (time.perf_counter() - began) * 1000
    await host.down("peer1")
    return took
