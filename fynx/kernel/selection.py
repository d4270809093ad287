"""From the ``plugins`` list of the configuration to the exact plugins to load: presets, additions, removals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from fynx.errors import PluginError
from fynx.kernel.entrypoints import Candidate
from fynx.kernel.words import did_you_mean

PRESETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "default": (
            "aes_gcm",
            "aes_cbc",
            "chacha20poly1305",
            "hmac_sha2",
            "modp",
            "ecp",
            "x25519",
            "x448",
            "psk",
            "udp",
            "tun",
            "inproc",
            "memory",
            "store_file",
            "libcrypto",
            "ipsecmb",
            "sodium",
        )
    }
)
CORE = "core"


@dataclass(frozen=True, slots=True)
class Selected:
    """A plugin to load. ``path`` is the place in the configuration that asked for it, perhaps through ``preset``."""

    name: str
    path: str
    candidate: Candidate
    preset: str = ""


def select(
    names: Sequence[str], candidates: Mapping[str, tuple[Candidate, ...]], path: str = "plugins"
) -> tuple[tuple[Selected, ...], tuple[PluginError, ...]]:
    """Expands and checks the list. Returns what can be loaded, in order, and every error found on the way."""
    errors: list[PluginError] = []
    wanted: dict[str, tuple[str, str]] = {}
    for index, word in enumerate(names):
        _apply(word, f"{path}[{index}]", wanted, errors)
    chosen: list[Selected] = []
    for name, (place, preset) in wanted.items():
        same = candidates.get(name, ())
        if len(same) == 1:
            chosen.append(Selected(name, place, same[0], preset))
            continue
        errors.append(_not_one(name, place, same, candidates))
    return tuple(chosen), tuple(errors)


def among(chosen: Sequence[Selected], files: Sequence[Candidate]) -> tuple[Selected, ...]:
    """Plugins in files, behind those of the list. Raises ``PluginError`` for a name that is taken."""
    names = {one.name for one in chosen}
    for one in files:
        if one.name in names:
            raise PluginError(one.name, f"{one.value}: a plugin of this name is already loaded; rename the file")
        names.add(one.name)
    return tuple(Selected(one.name, f"-p {one.value}", one) for one in files)


def _apply(word: str, place: str, wanted: dict[str, tuple[str, str]], errors: list[PluginError]) -> None:
    name = word.removeprefix("+")
    if word.startswith("-"):
        _remove(word[1:], place, wanted, errors)
    elif name in PRESETS:
        for member in PRESETS[name]:
            _add(member, place, name, wanted, errors)
    elif name == CORE:
        errors.append(PluginError(name, "it is always on and never listed: remove it here", path=place))
    elif not name:
        errors.append(PluginError(word, "a plugin's name is missing", path=place))
    else:
        _add(name, place, "", wanted, errors)


def _add(name: str, place: str, preset: str, wanted: dict[str, tuple[str, str]], errors: list[PluginError]) -> None:
    if name not in wanted:
        wanted[name] = (place, preset)
        return
    first, by = wanted[name]
    source = f"{first} (preset {by!r})" if by else first
    errors.append(PluginError(name, f"listed twice: it is already asked for by {source}", path=place))


def _remove(name: str, place: str, wanted: dict[str, tuple[str, str]], errors: list[PluginError]) -> None:
    if wanted.pop(name, None) is not None:
        return
    why = f"nothing before this entry adds it, so it cannot be removed{did_you_mean(name, wanted)}"
    errors.append(PluginError(name, why, path=place))


def _not_one(
    name: str, place: str, same: tuple[Candidate, ...], candidates: Mapping[str, tuple[Candidate, ...]]
) -> PluginError:
    if not same:
        known = ", ".join(candidates) or "none"
        hint = did_you_mean(name, [*candidates, *PRESETS])
        return PluginError(name, f"not installed{hint or ';'} installed plugins: {known}", path=place)
    owners = " and ".join(f"{one.origin} ({one.value})" for one in same)
    why = f"offered by more than one distribution: {owners}; uninstall one of them"
    return PluginError(name, why, distribution=", ".join(one.distribution for one in same), path=place)
