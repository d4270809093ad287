"""The hooks of Fynx, one contract each: when it is called, how often, on which thread, and what an exception does.

Version 1 (``fynx.plugin.API``). The promise: within a version hooks, protocols and dataclass fields are only added, new
arguments of a hook and new fields have a meaning when they are left out, and nothing is renamed or removed. What must
break gets version 2, and for a year Fynx loads plugins of both. Provisional, and outside of the promise:
``fynx_extensions`` and ``fynx.plugin.extension``, until three extensions besides the core use them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from fynx.events import Event
    from fynx.plugin.auth import AuthMethod, AuthorizeRequest
    from fynx.plugin.command import Command
    from fynx.plugin.crypto import Cipher, Integ, KeyExchange, Prf, Provider
    from fynx.plugin.dataplane import Dataplane
    from fynx.plugin.extension import Extension
    from fynx.plugin.keylog import KeyRecord
    from fynx.plugin.section import Section
    from fynx.plugin.service import Service
    from fynx.plugin.store import Store
    from fynx.plugin.transport import Transport

hookspec = pluggy.HookspecMarker("fynx")
hookimpl = pluggy.HookimplMarker("fynx")


@hookspec
def fynx_ciphers() -> list[Cipher]:  # type: ignore[empty-body]
    """Encryption algorithms.

    When: at boot, before anything is opened. How often: once. Thread: the one that boots.
    Exception: the boot fails with an error that names the plugin.
    """


@hookspec
def fynx_prfs() -> list[Prf]:  # type: ignore[empty-body]
    """Pseudo-random functions.

    When: at boot, before anything is opened. How often: once. Thread: the one that boots.
    Exception: the boot fails with an error that names the plugin.
    """


@hookspec
def fynx_integs() -> list[Integ]:  # type: ignore[empty-body]
    """Integrity algorithms.

    When: at boot, before anything is opened. How often: once. Thread: the one that boots.
    Exception: the boot fails with an error that names the plugin.
    """


@hookspec
def fynx_key_exchanges() -> list[KeyExchange]:  # type: ignore[empty-body]
    """Key exchange methods.

    When: at boot, before anything is opened. How often: once. Thread: the one that boots.
    Exception: the boot fails with an error that names the plugin.
    """


@hookspec
def fynx_providers() -> list[Provider]:  # type: ignore[empty-body]
    """Implementations of algorithms for the C loop.

    When: at boot, before anything is opened. How often: once. Thread: the one that boots.
    Exception: the boot fails with an error that names the plugin.
    """


@hookspec
def fynx_auth_methods() -> list[AuthMethod]:  # type: ignore[empty-body]
    """Authentication methods.

    When: at boot, before anything is opened. How often: once. Thread: the one that boots.
    Exception: the boot fails with an error that names the plugin.
    """


@hookspec
def fynx_transports() -> list[Transport]:  # type: ignore[empty-body]
    """Transports.

    When: at boot, before anything is opened. How often: once. Thread: the one that boots.
    Exception: the boot fails with an error that names the plugin.
    """


@hookspec
def fynx_dataplanes() -> list[Dataplane]:  # type: ignore[empty-body]
    """Data planes.

    When: at boot, before anything is opened. How often: once. Thread: the one that boots.
    Exception: the boot fails with an error that names the plugin.
    """


@hookspec
def fynx_stores() -> list[Store]:  # type: ignore[empty-body]
    """Stores.

    When: at boot, before anything is opened. How often: once. Thread: the one that boots.
    Exception: the boot fails with an error that names the plugin.
    """


@hookspec
def fynx_extensions() -> list[Extension]:  # type: ignore[empty-body]
    """IKE extensions: exchange types and tasks (provisional, see ``fynx.plugin.extension``).

    When: at boot, before anything is opened. How often: once. Thread: the one that boots.
    Exception: the boot fails with an error that names the plugin.
    """


@hookspec
def fynx_sections() -> list[Section]:  # type: ignore[empty-body]
    """Sections of the configuration.

    When: at boot, before anything is opened. How often: once. Thread: the one that boots.
    Exception: the boot fails with an error that names the plugin.
    """


@hookspec
def fynx_commands() -> list[Command]:  # type: ignore[empty-body]
    """Commands of the ``fynx`` program.

    When: at boot, before anything is opened. How often: once. Thread: the one that boots.
    Exception: the boot fails with an error that names the plugin.
    """


@hookspec
def fynx_services() -> list[Service]:  # type: ignore[empty-body]
    """Long-running helpers.

    When: at boot, before anything is opened. How often: once. Thread: the one that boots.
    Exception: the boot fails with an error that names the plugin.
    """


@hookspec
def fynx_event(event: Event) -> None:
    """Something happened that users may want to know. Never carries key material.

    When: after the effects that caused it were carried out. How often: per event, never per packet.
    Thread: one of the plugin's own; return quickly: a listener that takes longer than 50 ms is named in the log and
    nobody waits for it, and one that hangs misses what comes after 256 events.
    Exception: logged with the plugin's name, counted, and nothing else: each listener is guarded on its own.
    """


@hookspec
def fynx_keylog(record: KeyRecord, path: str) -> None:
    """Keys of an SA, for decrypting captures. ``path`` is ``host.keylog``; leave it out if not needed.

    When: an SA got its keys, and only if ``host.keylog`` is set. How often: once per IKE SA, once per direction of a
    Child SA.
    Thread: one of the plugin's own. Exception: logged with the plugin's name (never with the record), counted.
    """


@hookspec
def fynx_authorize(request: AuthorizeRequest) -> bool | None:
    """May this authenticated peer have a tunnel? None means no opinion.

    When: after the peer's AUTH was verified, before its SA is established. How often: once per IKE SA, all plugins
    asked.
    Thread: a worker thread, with a time-out. Exception, time-out or any False: the peer is refused.
    """
