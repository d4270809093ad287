"""``python -m benches.tunnels.python_loop DEVICE SIDE LOCAL REMOTE``: ESP in UDP, packet by packet, two threads."""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fynx_plugins.tun.device import open_tun

PORT = 4500
SPIS = {"left": 0x1001, "right": 0x1002}
KEY, SALT = bytes(range(16)), b"salt"


def send(tun: int, out: socket.socket, spi: int) -> None:
    cipher, sequence = AESGCM(KEY), 0
    while True:
        try:
            packet = os.read(tun, 65535)
        except OSError:
            continue
        sequence += 1
        pad = -(len(packet) + 2) % 4
        header, iv = struct.pack("!II", spi, sequence & 0xFFFFFFFF), struct.pack("!Q", sequence)
        trailer = bytes(range(1, pad + 1)) + bytes([pad, 4 if packet[0] >> 4 == 4 else 41])
        try:
            out.send(header + iv + cipher.encrypt(SALT + iv, packet + trailer, header))
        except OSError:
            continue


def receive(tun: int, out: socket.socket, spi: int) -> None:
    cipher = AESGCM(KEY)
    while True:
        try:
            data = out.recv(65535)
        except OSError:
            continue
        if len(data) < 34 or int.from_bytes(data[:4], "big") != spi:
            continue
        try:
            plain = cipher.decrypt(SALT + data[8:16], data[16:], data[:8])
            os.write(tun, plain[: len(plain) - 2 - plain[-2]])
        except (InvalidTag, OSError):
            continue


def main(device: str, side: str, local: str, remote: str) -> None:
    (tun,) = open_tun(device)
    os.set_blocking(tun, True)
    out = socket.socket(socket.AF_INET6 if ":" in local else socket.AF_INET, socket.SOCK_DGRAM)
    out.bind((local, PORT))
    out.connect((remote, PORT))
    threading.Thread(target=send, args=(tun, out, SPIS[side]), daemon=True).start()
    receive(tun, out, SPIS["right" if side == "left" else "left"])


if __name__ == "__main__":
    main(*sys.argv[1:5])
