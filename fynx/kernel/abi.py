"""Reads the ABI version that a provider's C structure declares (``cext/include/fynx.h``) before anything calls it."""

from __future__ import annotations

import ctypes

from fynx.plugin.crypto import Algorithms, Provider

ABI = 1
"""``FYNX_ABI`` of ``fynx.h``."""


class _Head(ctypes.Structure):
    """The first two fields of ``struct fynx_aead_ops``; they never move."""

    _fields_ = (("abi", ctypes.c_uint32), ("size", ctypes.c_uint32))


def wrong_abi(provider: Provider, algorithms: Algorithms) -> str:
    """What is wrong with the operations that ``provider`` offers for ``algorithms``; empty when all fit this Fynx."""
    for address in _offered(provider, algorithms):
        if type(address) is not int:
            return f"returned a {type(address).__name__} from ops, an address (int) or 0 is needed"
        if not address:
            continue
        head = _Head.from_address(address)
        if head.abi != ABI:
            return f"is built for C interface {head.abi}, this Fynx has {ABI}: rebuild it against its fynx.h"
        if head.size < ctypes.sizeof(_Head):
            return f"gives a C structure of {head.size} octets, which is too small to be one"
    return ""


def _offered(provider: Provider, algorithms: Algorithms) -> list[int]:
    found = []
    for cipher in algorithms.ciphers.values():
        for integ in (0,) if cipher.aead else tuple(algorithms.integs):
            if cipher.esp:
                found.append(provider.ops(cipher.transform_id, cipher.key_bits, integ))
    return found
