"""Sections of the configuration that a plugin owns: a frozen dataclass is the schema."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    """``path`` says where it stands: ``host.plane.tun``, ``host.transport.udp``, ``auth.psk``, ``store.file``.

    ``model`` is a frozen dataclass; its field types, defaults and docstrings are validated and documented by pydantic.
    """

    path: str
    model: type
