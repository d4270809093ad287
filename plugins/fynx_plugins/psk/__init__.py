"""Authentication with a pre-shared key: RFC 7296 section 2.15."""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest

from fynx.plugin import AuthContext, AuthFailed, AuthMethod, AuthValue, Identity, Secret, Section, hookimpl
from fynx.plugin.selftest import expect

FYNX_API = 1

METHOD_ID = 2  # Shared Key Message Integrity Code
KEY_PAD = b"Key Pad for IKEv2"


@dataclass(frozen=True, slots=True)
class PskConfig:
    """A pre-shared key."""

    secret: Secret
    """At least 20 octets; ``fynx psk gen`` makes one. ``@file:PATH``, ``@env:NAME`` or ``@store:KEY``."""


@hookimpl
def fynx_auth_methods() -> list[AuthMethod]:
    return [Psk()]


@hookimpl
def fynx_sections() -> list[Section]:
    return [Section("auth.psk", PskConfig)]


def fynx_selftest() -> None:
    """The two nestings of the prf, seen through a prf that only writes down its arguments; raises CryptoError."""
    context = AuthContext(
        b"octets", lambda key, data: key + b"(" + data + b")", Identity(0, b""), PskConfig(Secret(b"key"))
    )
    expect("PSK", Psk().sign(context).data, b"key(Key Pad for IKEv2)(octets)")


class Psk:
    """AUTH = prf(prf(Shared Secret, "Key Pad for IKEv2"), SignedOctets)."""

    name = "psk"
    method_ids = (METHOD_ID,)

    def sign(self, context: AuthContext) -> AuthValue:
        return AuthValue(METHOD_ID, _auth(context))

    def verify(self, context: AuthContext) -> None:
        if context.method_id != METHOD_ID:
            raise AuthFailed(f"the peer used authentication method {context.method_id}, not a pre-shared key")
        if not compare_digest(_auth(context), context.value):
            raise AuthFailed("the pre-shared keys differ")


def _auth(context: AuthContext) -> bytes:
    config = context.config
    if not isinstance(config, PskConfig) or not len(config.secret):
        raise AuthFailed("no pre-shared key is configured")
    return context.prf(context.prf(config.secret.reveal(), KEY_PAD), context.signed_octets)
