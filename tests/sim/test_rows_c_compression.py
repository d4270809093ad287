"""Bad input C21: IPComp, which is not done here (RFC 7296 section 2.22)."""

from __future__ import annotations

from fynx.wire.iana import NotifyType
from fynx.wire.payload import NotifyPayload
from tests.sim.forge import AUTH, CREATE, Bench, child_request, errors, notifies

COMPRESSION = NotifyPayload(NotifyType.IPCOMP_SUPPORTED, b"\x12\x34\x03")


def test_c21_compression_is_not_taken_and_the_child_stands_without() -> None:
    bench = Bench("responder")
    script = bench.established()
    answer = script.request(CREATE, [*child_request(script), COMPRESSION])
    assert not errors(answer)
    assert NotifyType.IPCOMP_SUPPORTED not in notifies(answer)
    assert len(bench.node.plane.children) == 2


def test_c21_compression_that_nobody_offered_is_passed_over() -> None:
    bench = Bench("initiator")
    script = bench.authenticating()
    (request,) = [script.opened(message) for message in script.received()]
    assert NotifyType.IPCOMP_SUPPORTED not in notifies(request)
    script.send(script.sealed(AUTH, [*script.auth_payloads(), COMPRESSION], 1, response=True))
    assert len(bench.node.plane.children) == 1
