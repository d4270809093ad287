"""What a tunnel costs in memory: one responder process that holds 10,000 of them, each with an address of its own.

The initiators are the protocol core in this process, one after the other over loopback; each is forgotten once its
tunnel stands, so that only the responder keeps anything. What is told is the growth of its resident memory.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from random import Random

from benches.lab import BenchError
from benches.result import Result
from fynx import __version__
from fynx.config import load
from fynx.config.model import Config
from fynx.demo.relay import HOST, free_port
from fynx.ike.effects import Initiate
from fynx.ike.tasks import CORE
from fynx.plugin import Path
from fynx.run.policy import host_policy
from fynx.sim.clock import Clock
from fynx.sim.nat import Address
from fynx.sim.node import Host, Node, Send
from fynx.sim.trace import Trace

TUNNELS, FIRST = 10_000, 200
PATIENCE_S, TRIES = 5, 12
"""For one answer: a busy machine loses datagrams, and the request is sent again."""
SECRET = {"BENCH_PSK": "a pre-shared key of more than thirty-two octets"}
PROOF = 'auth: {psk: {secret: "@env:BENCH_PSK"}}'
RESPONDER = """\
name: crowd
host:
  transport: {udp: {listen: ["HOST"], ports: [PORT]}}
  plane: {inproc: {capacity: CAPACITY}}
  half_open_per_source: 1000000
  cookie_threshold: 1000000
  pools: {all: {addresses: [198.18.0.0/15]}}
peers:
  any:
    remote: {address: any, id: any, PROOF}
    local: {id: crowd.example, PROOF}
    ike: [aes128gcm16-prfsha256-x25519]
    start: none
    liveness_s: null
    pool: all
    children: {net: {local: [203.0.113.0/24], remote: [dynamic], esp: [aes128gcm16]}}
"""
INITIATOR = """\
name: one
host: {plane: {inproc: {}}}
peers:
  crowd:
    remote: {address: "HOST", id: crowd.example, PROOF}
    local: {id: client.example, PROOF}
    ike: [aes128gcm16-prfsha256-x25519]
    start: none
    request: [ipv4]
    children: {net: {local: [dynamic], remote: [203.0.113.0/24], esp: [aes128gcm16]}}
"""


@cache
def _initiator() -> Config:
    return site(INITIATOR)


def site(text: str, **words: object) -> Config:
    for word, value in {"PROOF": PROOF, "HOST": HOST, **words}.items():
        text = text.replace(word, str(value))
    return load(text, environment=SECRET)


def responder(port: int, tunnels: int) -> Config:
    return site(RESPONDER, PORT=port, CAPACITY=4 * (tunnels + FIRST))


def run(arguments: Sequence[str] = ()) -> Result:
    """Raises BenchError."""
    parser = ArgumentParser(prog="./run bench crowd")
    parser.add_argument("--tunnels", type=int, default=TUNNELS)
    options = parser.parse_args(list(arguments))
    port = free_port()
    command = [sys.executable, "-m", "benches.crowded", str(port), str(options.tunnels)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.bind((HOST, 0))
            link.settimeout(PATIENCE_S)
            before, held, after = grown(process, options.tunnels, port, link)
    finally:
        process.communicate()
    if held != FIRST + options.tunnels:
        raise BenchError(f"the responder holds {held} of {FIRST + options.tunnels} tunnels")
    result = Result("crowd")
    result.add(f"memory-{options.tunnels}", "fynx", __version__, [(after - before) / options.tunnels], "kB per tunnel")
    return result


def grown(process: subprocess.Popen[str], tunnels: int, port: int, link: socket.socket) -> tuple[float, int, float]:
    """Kilobytes with the first tunnels, then tunnels that stand and kilobytes with all."""
    ask(process)
    for number in range(FIRST):
        connect(number, port, link)
    _, before = ask(process)
    for number in range(FIRST, FIRST + tunnels):
        connect(number, port, link)
        if number % 1000 == 0:
            print(f"{number} tunnels", file=sys.stderr)
    held, after = ask(process)
    return before, held, after


def ask(process: subprocess.Popen[str]) -> tuple[int, float]:
    """Tunnels that stand, and resident kilobytes."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    line = process.stdout.readline()
    if not line:
        raise BenchError("the responder ended")
    told = json.loads(line)
    return told["tunnels"], told["kb"]


def connect(number: int, port: int, link: socket.socket) -> None:
    """One handshake. Raises BenchError when it does not end with a Child SA.

    All use one socket, that is open as long as the responder: at a closed one a late answer would be an error of the
    network, and the responder would ask whether its peer lives.
    """
    here, sent, tries = link.getsockname()[1], [b""], 0

    def send(_node: Node, _source: Address, _destination: Address, data: bytes) -> None:
        sent[0] = data
        link.sendto(data, (HOST, port))

    node, path = _node(number, send), Path(HOST, here, HOST, port)
    node.command(Initiate("crowd", path, ("net",)))
    while not node.plane.children:
        try:
            node.arrive(path, link.recv(65535))
        except TimeoutError:
            tries += 1
            if tries == TRIES:
                raise BenchError(f"tunnel {number} did not come up: {node.events[-1:]}") from None
            link.sendto(sent[0], (HOST, port))


def _node(number: int, send: Send) -> Node:
    config = _initiator()
    peer, registry = config.peers["crowd"], config.registry
    named = replace(peer, local=replace(peer.local, id=f"client{number}.example"))
    policy = host_policy(replace(config, peers={"crowd": named}), registry, resolve={})
    host = Host("one", (HOST,), policy, registry.algorithms, registry.auth_methods, (CORE,))
    return Node(host, Clock(), Trace(), send, Random(number))
