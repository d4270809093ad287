"""Plugins that are wrong in one way each: source, the check that must refuse it, and a piece of the reason."""

from __future__ import annotations

from typing import NamedTuple

HEAD = """
import os, socket, sys, time
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fynx.plugin import *
from fynx.plugin import hookimpl
FYNX_API = 1
"""
CIPHER = (
    HEAD
    + """
FYNX_VECTORS = {"bad": "aes_gcm"}
class Key:
    def __init__(self, raw):
        if len(raw) != 20: raise CryptoError("20 octets")
        self.aead, self.salt = AESGCM(raw[:16]), raw[16:]
    def nonce(self, iv): return self.salt + iv
    def seal(self, iv, plain, aad):
        if len(iv) != 8: raise CryptoError("8 octets")
        return self.aead.encrypt(self.nonce(iv), plain, aad)
    def open(self, iv, sealed, aad):
        if len(iv) != 8 or len(sealed) < 16: raise CryptoError("too short")
        try: return self.aead.decrypt(self.nonce(iv), sealed, aad)
        except InvalidTag: raise CryptoError("the tag does not verify") from None
def cipher(key=Key, icv_len=16): return Cipher("bad", 65200, 128, 4, 8, icv_len, 1, True, key)
"""
)
GIVE = """
@hookimpl
def fynx_ciphers(): return [cipher({})]
"""
OPS = (
    CIPHER
    + GIVE.format("")
    + """
import ctypes
from fynx.kernel.loader import boot
from fynx.testing.kit.abi import CRYPT, FREED, KEY_NEW, MADE, Ops
KEYS = {}
def key_new(ops, key, key_len, salt):
    if key_len != 16: return None
    KEYS[len(KEYS) + 1] = Key(ctypes.string_at(key, 16) + ctypes.string_at(salt, 4))
    return len(KEYS)
def octets(at, count): return ctypes.string_at(at, count) if count else b""
def one(thr, packet, opening):
    iv, aad = octets(packet.iv, 8), octets(packet.aad, packet.aad_len)
    text = octets(packet.source, packet.len + (16 if opening else 0))
    try: made = KEYS[thr].open(iv, text, aad) if opening else KEYS[thr].seal(iv, text, aad)
    except CryptoError: packet.rc = -1; return
    packet.rc = 0
    ctypes.memmove(packet.out, made, len(made))
def seal(thr, packets, n):
    for i in range(n): one(thr, packets[i], False)
def open_(thr, packets, n):
    for i in range(n): one(thr, packets[i], True)
def made(**changed):
    fields = dict(abi=1, size=ctypes.sizeof(Ops), name=b"bad", provider=b"bad", encr_id=65200, key_len=16, salt_len=4,
                  iv_len=8, icv_len=16, block=4, key_new=KEY_NEW(key_new), key_free=FREED(lambda key: None),
                  thr_new=MADE(lambda key: key), thr_free=FREED(lambda thr: None), seal=CRYPT(seal), open=CRYPT(open_))
    return Ops(**{**fields, **changed})
@hookimpl
def fynx_providers():
    return [Provider("bad", "1", lambda e, b, i: ctypes.addressof(OPS) if e == 65200 else 0, keep=OPS)]
"""
)


class Bad(NamedTuple):
    source: str
    check: str
    reason: str


PLUGINS: dict[str, Bad] = {
    "raises at import": Bad("raise OSError('no licence file')", "boot", "cannot be imported: OSError: no licence file"),
    "hangs at import": Bad("import time; time.sleep(600)", "boot", "hangs: it did not return within"),
    "crashes at import": Bad("import ctypes; ctypes.string_at(0)", "boot", "crashes the program: SIGSEGV"),
    "ends the program": Bad("import os; os._exit(7)", "boot", "ends the program with exit code 7"),
    "speaks another interface": Bad("FYNX_API = 2", "boot", "written for plugin interface 2"),
    "does something else": Bad(
        CIPHER + "class Own(Key):\n    def nonce(self, iv): return iv + self.salt\n" + GIVE.format("Own"),
        "bad: known answers",
        "the known answer differs",
    ),
    "lies about its lengths": Bad(CIPHER + GIVE.format("icv_len=12"), "bad: lengths", "icv_len = 12 says otherwise"),
    "accepts forgeries": Bad(
        CIPHER
        + "class Own(Key):\n"
        + "    def open(self, iv, sealed, aad):\n"
        + "        if len(iv) != 8 or len(sealed) < 16: raise CryptoError('short')\n"
        + "        plain = self.aead.encrypt(self.nonce(iv), sealed[:-16], aad)[:-16]\n"
        + "        return plain\n"
        + "del FYNX_VECTORS\ndef fynx_selftest(): pass\n"
        + GIVE.format("Own"),
        "bad: forgeries",
        "a forged octet at 0 is accepted",
    ),
    "raises what it likes": Bad(
        CIPHER
        + "class Own(Key):\n"
        + "    def __init__(self, raw):\n"
        + "        self.aead, self.salt = AESGCM(raw[:-4]), raw[-4:]\n"
        + GIVE.format("Own"),
        "bad: wrong lengths",
        "raises ValueError, CryptoError belongs here",
    ),
    "shares its state between threads": Bad(
        CIPHER
        + "class Own(Key):\n"
        + "    def nonce(self, iv):\n"
        + "        self.now = self.salt + iv; time.sleep(0.0005); return self.now\n"
        + GIVE.format("Own"),
        "bad: threads",
        "two threads with one key",
    ),
    "keeps every key": Bad(
        CIPHER
        + "KEPT = []\nclass Own(Key):\n"
        + "    def __init__(self, raw): super().__init__(raw); KEPT.append(bytearray(4096))\n"
        + GIVE.format("Own"),
        "bad: leaks",
        "still take",
    ),
    "shows its key": Bad(
        CIPHER
        + "class Own(Key):\n"
        + "    def __init__(self, raw): super().__init__(raw); self.raw = raw\n"
        + "    def __repr__(self): return self.raw.hex()\n"
        + GIVE.format("Own"),
        "bad: secrets",
        "shows key or plaintext",
    ),
    "says other sizes in C": Bad(
        OPS + "OPS = made(icv_len=12)\n", "bad, bad: structure", "icv_len = 12 where the algorithm has 16"
    ),
    "writes beyond its buffer": Bad(
        OPS
        + "def wild(thr, packets, n):\n"
        + "    seal(thr, packets, n)\n"
        + "    for i in range(n): ctypes.memset(packets[i].out + packets[i].len + 16, 0, 1)\n"
        + "OPS = made(seal=CRYPT(wild))\n",
        "bad, bad: in place and inside its buffers",
        "writes outside of its buffer",
    ),
    "spoils a whole batch": Bad(
        OPS
        + "def all_or_nothing(thr, packets, n):\n"
        + "    open_(thr, packets, n)\n"
        + "    if any(packets[i].rc for i in range(n)):\n"
        + "        for i in range(n): packets[i].rc = -1\n"
        + "OPS = made(open=CRYPT(all_or_nothing))\n",
        "bad, bad: in place and inside its buffers",
        "a batch with a bad packet in position 0",
    ),
    "believes everybody": Bad(
        HEAD
        + "FYNX_EXAMPLES = {'auth.bad': {}}\n"
        + "from dataclasses import dataclass\n"
        + "@dataclass(frozen=True)\nclass BadConfig:\n    word: str = 'x'\n"
        + "class Method:\n"
        + "    name, method_ids = 'bad', (230,)\n"
        + "    def sign(self, context): return AuthValue(230, b'trust me')\n"
        + "    def verify(self, context): pass\n"
        + "@hookimpl\ndef fynx_auth_methods(): return [Method()]\n"
        + "@hookimpl\ndef fynx_sections(): return [Section('auth.bad', BadConfig)]\n",
        "auth bad: forgeries",
        "no proof at all is accepted",
    ),
    "never closes its socket": Bad(
        HEAD
        + "from dataclasses import dataclass\n"
        + "FYNX_EXAMPLES = {'host.transport.bad': ({}, {})}\nHELD = []\n"
        + "@dataclass(frozen=True)\nclass BadConfig:\n    encap: str = 'always'\n"
        + "class BadPort:\n"
        + "    framing = 'message'\n"
        + "    local = (Path('127.0.0.1', 4500, '', 0),)\n"
        + "    def __init__(self): HELD.append(socket.socket())\n"
        + "    def sockets(self): return ()\n"
        + "    def attach(self): pass\n"
        + "    def send(self, batch): pass\n"
        + "    def close(self): pass\n"
        + "class Opener:\n"
        + "    name = 'bad'\n"
        + "    async def open(self, section, deliver): return BadPort()\n"
        + "@hookimpl\ndef fynx_transports(): return [Opener()]\n"
        + "@hookimpl\ndef fynx_sections(): return [Section('host.transport.bad', BadConfig)]\n",
        "transport bad: opens, sends, closes",
        "1 sockets are still open after close()",
    ),
    "hangs in a listener": Bad(
        HEAD + "@hookimpl\ndef fynx_event(event): time.sleep(600)\n",
        "fynx_event: returns at once",
        "fynx_event hangs: it did not return",
    ),
    "works long in a listener": Bad(
        HEAD + "@hookimpl\ndef fynx_event(event): time.sleep(0.08)\n",
        "fynx_event: returns at once",
        "ms: hand long work to a thread of your own",
    ),
    "leaves threads": Bad(
        HEAD
        + "import threading\n"
        + "def stay(): threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
        + "@hookimpl\ndef fynx_event(event): stay()\n",
        "echo tunnel with the plugin on both sides",
        "threads are left after the hosts have stopped",
    ),
    "raises in an exchange": Bad(
        HEAD
        + "class Task:\n"
        + "    def build(self, out): raise KeyError('a bug')\n"
        + "    def process(self, message): pass\n"
        + "TASK = TaskSpec('bad', 35, 350, lambda view, _: Task())\n"
        + "@hookimpl\ndef fynx_extensions(): return [Extension('bad', (), (TASK,))]\n",
        "echo tunnel with the plugin on both sides",
        "failed inside a tunnel",
    ),
    "forgets what it stored": Bad(
        HEAD
        + "class Kept(dict):\n"
        + "    def read(self, kind, key): return self.get(key)\n"
        + "    def write(self, kind, key, value): self[key] = value\n"
        + "    def delete(self, kind, key): self.pop(key, None)\n"
        + "    def scan(self, kind): return iter(self)\n"
        + "class Maker:\n"
        + "    name = 'bad'\n"
        + "    def open(self, section): return Kept()\n"
        + "@hookimpl\ndef fynx_stores(): return [Maker()]\n",
        "store bad: keeps what is written",
        "does not come back",
    ),
}

MAC = """
import hmac
FYNX_VECTORS = {{"bad": "hmac_sha256"}}
@hookimpl
def fynx_integs(): return [Integ("bad", 65210, 32, 16, lambda key, data: {}[:16])]
"""
KEX = """
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey as Key, X25519PublicKey as Public
def fynx_selftest(): pass
class Offer:
    def __init__(self, key): self.key, self.public = key, key.public_key().public_bytes_raw()
    def finish(self, peer):
        {}
        return self.key.exchange(Public.from_public_bytes(peer))
def start(random): return Offer(Key.from_private_bytes({}))
def answer(peer, random):
    mine = start(random)
    return mine.public, mine.finish(peer)
@hookimpl
def fynx_key_exchanges(): return [KeyExchange("bad", 65220, 32, 32, start, answer)]
"""
LENGTH = "if len(peer) != 32: raise CryptoError('32 octets')"
PLANE = (
    HEAD
    + """
import asyncio
from fynx.plugin.planes import EnginePlane
class Base(EnginePlane):
    def __init__(self, context, engine):
        super().__init__(context, engine)
        engine.start()
    def send_inner(self, packets):
        for path, data in self.engine.send_inner(packets): self.context.port.send([Datagram(path, data)])
    def recv_inner(self, limit=256): return self.engine.recv_inner(limit)
    def on_inner(self, callback): pass
class Maker:
    name = "bad"
    async def open(self, context): return Own(context, context.engine(providers=context.providers, inproc=True))
@hookimpl
def fynx_dataplanes(): return [Maker()]
class Own(Base):
"""
)
SERVICE = """
import asyncio
class Own:
    name = "bad"
    async def run(self, control):
        {}
@hookimpl
def fynx_services(): return [Own()]
"""

PLUGINS |= {
    "computes another MAC": Bad(
        HEAD + MAC.format("hmac.digest(key, b'x' + data, 'sha256')"), "bad: known answers", "the known answer differs"
    ),
    "is a PRF that gives half": Bad(
        HEAD
        + "import hmac\nFYNX_VECTORS = {'bad': 'hmac_sha256'}\n"
        + "def half(key, data): return hmac.digest(key, data, 'sha256')[:16]\n"
        + "@hookimpl\ndef fynx_prfs(): return [Prf('bad', 65211, 32, 32, half)]\n",
        "bad: lengths, and every octet counts",
        "gives 16 octets, declares 32",
    ),
    "takes its own randomness": Bad(
        HEAD + KEX.format(LENGTH, "(random(32), os.urandom(32))[1]"),
        "bad: randomness",
        "takes randomness from elsewhere",
    ),
    "takes any value for a point": Bad(
        HEAD + KEX.format("peer = (peer + bytes(32))[:32]", "random(32)"),
        "bad: wrong values",
        "one octet less is accepted",
    ),
    "leaves a descriptor open": Bad(
        PLANE + "    def install(self, child): super().install(child); os.dup(0)\n",
        "plane bad: opens and closes",
        "1 descriptors are still open",
    ),
    "gives an SPI twice": Bad(
        PLANE + "    def reserve_spi(self): return 4096\n", "plane bad: SPIs", "gives the same SPI twice"
    ),
    "removes nothing": Bad(
        PLANE + "    def remove(self, handle): pass\n",
        "plane bad: installs and removes",
        "that was removed still takes packets",
    ),
    "counts wrongly": Bad(
        PLANE + "    def usage(self, handle): return Usage(packets_in=1)\n", "plane bad: counts", "packets_in = 1"
    ),
    "changes the order": Bad(
        PLANE + "    def recv_inner(self, limit=256): return super().recv_inner(limit)[::-1]\n",
        "plane bad: order",
        "packets change places",
    ),
    "takes replays": Bad(
        PLANE
        + "    def usage(self, handle):\n"
        + "        found = super().usage(handle)\n"
        + "        again = found.drops.get('replay', 0)\n"
        + "        return Usage(found.packets_in + again, bytes_in=1, sequence_in=found.sequence_in)\n",
        "plane bad: replays",
        "of 2 packets and 4 replays it takes 6",
    ),
    "loses a batch for a bad packet": Bad(
        PLANE
        + "    def receive_outer(self, path, packets):\n"
        + "        if all(len(one) > 50 for one in packets): super().receive_outer(path, packets)\n",
        "plane bad: bad packets",
        "length in position 0 of a batch: what comes out is not the 7 others",
    ),
    "sends each packet twice": Bad(
        PLANE + "    def send_inner(self, packets): super().send_inner(packets); super().send_inner(packets)\n",
        "plane bad: sends",
        "sequence numbers are",
    ),
    "sends in clear": Bad(
        PLANE
        + "    def send_inner(self, packets):\n"
        + "        made = self.engine.send_inner(packets)\n"
        + "        for path, data in made: self.context.port.send([Datagram(path, data)])\n"
        + "        if self.engine.match(packets[0]) == 'protect' and not made and self.protects:\n"
        + "            self.context.port.send([Datagram(self.context.port.local[0], packets[0])])\n"
        + "    protects = False\n"
        + "    def policies(self, policies): super().policies(policies); self.protects = True\n",
        "plane bad: nothing in clear",
        "sends although no Child SA stands",
    ),
    "is a service that returns": Bad(
        HEAD + SERVICE.format("return"), "service bad: ends when it is told", "ended by itself"
    ),
    "is a service that does not end": Bad(
        HEAD
        + SERVICE.format(
            "while True:\n            try: await asyncio.sleep(60)\n            except asyncio.CancelledError: pass"
        ),
        "service bad: ends when it is told",
        "goes on 5 s after it was cancelled",
    ),
    "authorizes by a text": Bad(
        HEAD + "@hookimpl\ndef fynx_authorize(request): return 'no'\n",
        "fynx_authorize: answers",
        "returned a str: True, False or None belongs here",
    ),
    "hangs in an exchange": Bad(
        HEAD
        + "class Task:\n"
        + "    def build(self, out): time.sleep(3)\n"
        + "    def process(self, message): pass\n"
        + "TASK = TaskSpec('bad', 35, 350, lambda view, _: Task())\n"
        + "@hookimpl\ndef fynx_extensions(): return [Extension('bad', (), (TASK,))]\n",
        "echo tunnel with the plugin on both sides",
        "failed inside a tunnel: task bad.build: Overtime",
    ),
}
