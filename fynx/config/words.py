"""Words for mistakes: unknown keys with what was probably meant, and pydantic's findings in ours."""

from __future__ import annotations

from collections.abc import Sequence

from fynx.kernel.words import did_you_mean

MEANT = {
    "string_type": "must be text; put it in quotes",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "none_required": "must be null",
    "finite_number": "must be a finite number",
}
"""pydantic's error type to our words; its other messages name what is expected, never what was given."""

_ELSEWHERE = {
    "address": "remote.address",
    "addresses": "remote.address",
    "dpd": "liveness_s",
    "dpd_delay": "liveness_s",
    "dpd_action": "on_dead",
    "close_action": "on_close",
    "inactivity": "inactivity_s",
    "liveness": "liveness_s",
    "keepalive": "keepalive_s",
    "esp_proposals": "esp",
    "proposals": "ike",
    "left": "local",
    "right": "remote",
    "local_ts": "local",
    "remote_ts": "remote",
    "local_addrs": "local.address",
    "remote_addrs": "remote.address",
    "leftid": "local.id",
    "rightid": "remote.id",
    "leftsubnet": "children.NAME.local",
    "rightsubnet": "children.NAME.remote",
    "psk": "auth: {psk: {secret: …}}",
    "secret": "auth: {psk: {secret: …}}",
    "connections": "peers",
    "start_action": "start",
    "replay_window": "window",
    "dataplane": "plane",
    "mobike": "",
    "allow_weak_psk": "peers.NAME.allow_weak_psk",
    "keylog": "host.keylog",
    "transport": "host.transport",
    "plane": "host.plane",
    "store": "host.store",
    "children": "peers.NAME.children",
}
"""What people write who know other programs, or who put a key one level off."""


def unknown_key(key: str, known: Sequence[str]) -> tuple[str, str]:
    """What to say of a key that nobody knows here, and what to write instead."""
    shown = "".join(char if char.isprintable() else "?" for char in key[:64])
    what = f"unknown key {shown!r}{did_you_mean(key, known)}"
    other = _ELSEWHERE.get(key, "")
    if other and other not in known:
        return what, f"{other} is where Fynx keeps this"
    if other:
        return what, f"the key is {other}"
    return what, f"known here: {', '.join(known) or 'nothing'}"
