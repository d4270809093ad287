"""An authentication method: both sides pin the other's Ed25519 key, as SSH does; no certificates, no shared secret.

``fynx run -p ./pinned.py``, and in the configuration, with hexadecimal digits::

    local:  {id: left.test,  auth: {pinned: {secret: "@file:left.key"}}}
    remote: {id: right.test, address: 192.0.2.1, auth: {pinned: {public: "d75a9801…"}}}

A method id for private use (RFC 7296 section 3.8); the signature is over the octets of RFC 7296 section 2.15.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from fynx.plugin import AuthContext, AuthFailed, AuthMethod, AuthValue, Secret, Section, hookimpl

FYNX_API = 1
FYNX_EXAMPLES = {
    "auth.pinned": {  # RFC 8032 section 7.1, test 1
        "secret": "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "public": "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    }
}

METHOD_ID = 220  # 201 to 255 are for private use


@dataclass(frozen=True, slots=True)
class PinnedConfig:
    """``secret`` signs on the local side, ``public`` verifies on the remote one."""

    secret: Secret | None = None
    """The private key: 64 hexadecimal digits."""
    public: str = ""
    """The peer's public key: 64 hexadecimal digits."""


class Pinned:
    name = "pinned"
    method_ids = (METHOD_ID,)

    def sign(self, context: AuthContext) -> AuthValue:
        config = context.config
        if not isinstance(config, PinnedConfig) or config.secret is None:
            raise AuthFailed("auth.pinned.secret is not configured for this side")
        return AuthValue(METHOD_ID, _private(config.secret).sign(context.signed_octets))

    def verify(self, context: AuthContext) -> None:
        config = context.config
        if context.method_id != METHOD_ID:
            raise AuthFailed(f"the peer used authentication method {context.method_id}, not a pinned key")
        if not isinstance(config, PinnedConfig) or not config.public:
            raise AuthFailed("auth.pinned.public is not configured for this peer")
        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(config.public))
            key.verify(context.value, context.signed_octets)
        except (InvalidSignature, ValueError):
            raise AuthFailed("the signature is not by the pinned key") from None


def _private(secret: Secret) -> Ed25519PrivateKey:
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret.reveal().decode().strip()))
    except ValueError:
        raise AuthFailed("auth.pinned.secret is not 64 hexadecimal digits") from None


@hookimpl
def fynx_auth_methods() -> list[AuthMethod]:
    return [Pinned()]


@hookimpl
def fynx_sections() -> list[Section]:
    return [Section("auth.pinned", PinnedConfig)]
