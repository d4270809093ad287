"""The core's own exchanges and tasks, registered as any extension registers its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from fynx.ike.sa import IkeSa
from fynx.ike.tasks.auth import AuthTask
from fynx.ike.tasks.auth_lifetime import AuthLifetimeTask
from fynx.ike.tasks.child import ChildTask
from fynx.ike.tasks.childless import ChildlessTask
from fynx.ike.tasks.config import ConfigTask, TalkTask
from fynx.ike.tasks.crash import CrashTask
from fynx.ike.tasks.delete import DeleteTask, NotifyTask
from fynx.ike.tasks.fragmentation import FragmentationTask
from fynx.ike.tasks.init import InitTask
from fynx.ike.tasks.natd import NatDetectionTask
from fynx.ike.tasks.rekey_ike import RekeyIkeTask
from fynx.ike.tasks.window import WindowTask
from fynx.plugin.extension import ExchangeSpec, Extension, MakeTask, SaView, Task, TaskSpec
from fynx.wire.iana import ExchangeType

_Options = Mapping[str, object]


def _init(view: SaView, _: _Options) -> Task:
    return InitTask(cast("IkeSa", view))


def _natd(view: SaView, _: _Options) -> Task:
    return NatDetectionTask(cast("IkeSa", view))


def _fragmentation(view: SaView, _: _Options) -> Task:
    return FragmentationTask(cast("IkeSa", view))


def _auth(view: SaView, _: _Options) -> Task:
    return AuthTask(cast("IkeSa", view))


def _config(view: SaView, _: _Options) -> Task:
    return ConfigTask(cast("IkeSa", view))


def _talk(view: SaView, options: _Options) -> Task | None:
    return None if options else TalkTask(cast("IkeSa", view))


def _first_child(view: SaView, options: _Options) -> Task | None:
    return _child(view, ExchangeType.IKE_AUTH, options)


def _next_child(view: SaView, options: _Options) -> Task | None:
    return _child(view, ExchangeType.CREATE_CHILD_SA, options)


def _child(view: SaView, exchange: int, options: _Options) -> Task | None:
    """The initiator names its child; the responder learns which one from the selectors."""
    return None if options and not options.get("child") else ChildTask(cast("IkeSa", view), exchange, options)


def _rekey_ike(view: SaView, options: _Options) -> Task | None:
    return None if options and "rekey_ike" not in options else RekeyIkeTask(cast("IkeSa", view), options)


def _crash(exchange: int) -> MakeTask:
    return lambda view, options: CrashTask(cast("IkeSa", view), exchange, options)


def _childless(view: SaView, _: _Options) -> Task:
    return ChildlessTask(cast("IkeSa", view))


def _auth_lifetime(view: SaView, _: _Options) -> Task:
    return AuthLifetimeTask(cast("IkeSa", view))


def _window(view: SaView, _: _Options) -> Task:
    return WindowTask(cast("IkeSa", view))


def _delete(view: SaView, options: _Options) -> Task:
    return DeleteTask(cast("IkeSa", view), options)


def _notify(view: SaView, options: _Options) -> Task:
    return NotifyTask(cast("IkeSa", view), options)


CORE = Extension(
    "core",
    exchanges=(
        ExchangeSpec(ExchangeType.IKE_SA_INIT, "IKE_SA_INIT", protected=False, before_auth=True),
        ExchangeSpec(ExchangeType.IKE_AUTH, "IKE_AUTH", before_auth=True),
        ExchangeSpec(ExchangeType.CREATE_CHILD_SA, "CREATE_CHILD_SA"),
        ExchangeSpec(ExchangeType.INFORMATIONAL, "INFORMATIONAL"),
    ),
    tasks=(
        TaskSpec("init", ExchangeType.IKE_SA_INIT, 100, _init),
        TaskSpec("natd", ExchangeType.IKE_SA_INIT, 200, _natd),
        TaskSpec("fragmentation", ExchangeType.IKE_SA_INIT, 300, _fragmentation),
        TaskSpec("childless", ExchangeType.IKE_SA_INIT, 300, _childless),
        TaskSpec("auth", ExchangeType.IKE_AUTH, 300, _auth),
        TaskSpec("auth_lifetime", ExchangeType.IKE_AUTH, 400, _auth_lifetime),
        *(
            TaskSpec("window", number, 800, _window)
            for number in (ExchangeType.IKE_AUTH, ExchangeType.CREATE_CHILD_SA, ExchangeType.INFORMATIONAL)
        ),
        TaskSpec("crash", ExchangeType.IKE_AUTH, 550, _crash(ExchangeType.IKE_AUTH)),
        TaskSpec("config", ExchangeType.IKE_AUTH, 450, _config),
        TaskSpec("child", ExchangeType.IKE_AUTH, 600, _first_child),
        TaskSpec("child", ExchangeType.CREATE_CHILD_SA, 600, _next_child),
        TaskSpec("rekey_ike", ExchangeType.CREATE_CHILD_SA, 700, _rekey_ike),
        TaskSpec("crash", ExchangeType.CREATE_CHILD_SA, 750, _crash(ExchangeType.CREATE_CHILD_SA)),
        TaskSpec("crash", ExchangeType.INFORMATIONAL, 250, _crash(ExchangeType.INFORMATIONAL)),
        TaskSpec("notify", ExchangeType.INFORMATIONAL, 300, _notify),
        TaskSpec("auth_lifetime", ExchangeType.INFORMATIONAL, 400, _auth_lifetime),
        TaskSpec("config", ExchangeType.INFORMATIONAL, 450, _talk),
        TaskSpec("delete", ExchangeType.INFORMATIONAL, 500, _delete),
    ),
)
