"""What every tunnel has: a variant, a link of its own, its daemons, and how one knows that it is up."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from benches.lab import FOLDER, Daemon, Host, Link, total, until

CODES = {"aes256gcm16": "a", "chacha20poly1305": "c", "ipv6": "6", "segmented": "s"}
"""Of suffixes, where names have to be short."""


@dataclass(frozen=True, slots=True)
class Variant:
    """How a tunnel differs from the bare case: IPv4, AES-128-GCM, frames passed through whole, one SA."""

    suite: str = "aes128gcm16"
    family: int = 4
    segmented: bool = False
    sas: int = 1

    @property
    def words(self) -> tuple[str, ...]:
        """As suffixes of a case, in a fixed order."""
        named = (
            ("" if self.suite == "aes128gcm16" else self.suite),
            ("" if self.family == 4 else "ipv6"),
            ("segmented" if self.segmented else ""),
            ("" if self.sas == 1 else f"sas{self.sas}"),
        )
        return tuple(word for word in named if word)


@dataclass(slots=True)
class Tunnel:
    """One system between two hosts. A subclass fills ``start``; ``short`` keeps names of namespaces short."""

    variant: Variant
    link: Link = field(init=False)
    daemons: tuple[Daemon, ...] = ()
    system = ""
    short = ""
    version = ""
    outside = False
    """True when traffic goes past the tunnel, between the outer addresses."""

    def __post_init__(self) -> None:
        codes = "".join(CODES.get(word, word.replace("sas", "n")) for word in self.variant.words)
        self.link = Link(self.short + codes, "segmented" if self.variant.segmented else self.offloads)

    @property
    def offloads(self) -> str:
        return "whole"

    @property
    def folder(self) -> Path:
        return FOLDER / "-".join((self.system, self.version, *self.variant.words)).strip("-")

    @property
    def name(self) -> str:
        """As it stands in ratios: ``strongswan-5.9.8``."""
        return f"{self.system}-{self.version}" if self.version else self.system

    def up(self) -> None:
        self.link.make()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start()
        until(self._ready, f"{self.name} carries pings (see {self.folder})", self.patience_s)

    @property
    def patience_s(self) -> float:
        return 30.0 + self.variant.sas / 20

    def _ready(self) -> bool:
        for daemon in self.daemons:
            daemon.check()
        return self.link.reaches(self.variant.family, outside=self.outside)

    def start(self) -> None:
        raise NotImplementedError

    def down(self) -> None:
        for daemon in self.daemons:
            daemon.stop()
        self.link.delete()

    def processor_s(self) -> float:
        return total(self.daemons)

    def outer(self, host: Host) -> str:
        return host.address(self.variant.family, outside=True)

    def inner(self, host: Host) -> str:
        return host.address(self.variant.family)

    def network(self, host: Host) -> str:
        return host.networks[0 if self.variant.family == 4 else 1]


class Bare(Tunnel):
    """No tunnel: the link with all offloads off."""

    system, short, outside = "bare", "ba", True

    @property
    def offloads(self) -> str:
        return "none"

    def start(self) -> None:
        pass
