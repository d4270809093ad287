"""What the core asks for is done, and what fails inside a plugin ends one exchange without telling secrets."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from fynx.errors import CryptoError, FynxError
from fynx.kernel.loader import boot
from fynx.plugin import AuthContext, AuthorizeRequest, AuthValue, Identity, Plane, Random
from fynx.plugin.work import Authorize, KexAnswer, KexFinish, KexStart, ReserveSpi, Sign, Work
from fynx.run.host import Host
from fynx.run.threads import Threads
from fynx.run.work import Worker
from tests.unit.run.pair import pair, run, soon

X25519 = 31


class Broken:
    """An authentication method with a bug that quotes what it should not."""

    name = "broken"
    method_ids = (2,)

    def sign(self, context: AuthContext) -> AuthValue:
        raise ValueError(f"cannot sign with {context.config}")

    def verify(self, context: AuthContext) -> None:
        raise ValueError(f"cannot verify with {context.config}")


async def outcome(worker: Worker, work: Work) -> object:
    found: list[object] = []
    worker.submit(work, found.append)
    await soon(lambda: found)
    return found[0]


def test_key_exchanges_agree_and_bad_values_come_back_as_errors() -> None:
    async def test() -> None:
        async with pair() as both:
            worker = Worker(both.left.registry, _plane(both.left), asyncio.get_running_loop())
            offer = await outcome(worker, KexStart(X25519))
            public, secret = await outcome(worker, KexAnswer(X25519, offer.public))  # type: ignore[attr-defined, misc]
            assert await outcome(worker, KexFinish(offer, public)) == secret  # type: ignore[arg-type, has-type]
            assert isinstance(await outcome(worker, KexAnswer(X25519, bytes(32))), CryptoError)
            assert isinstance(await outcome(worker, KexStart(9999)), FynxError)
            worker.close()

    run(test)


def test_spis_are_above_the_reserved_ones_and_differ() -> None:
    async def test() -> None:
        async with pair() as both:
            worker = Worker(both.left.registry, _plane(both.left), asyncio.get_running_loop())
            found = {await outcome(worker, ReserveSpi()) for _ in range(50)}
            assert len(found) == 50
            assert min(int(str(spi)) for spi in found) > 255
            worker.close()

    run(test)


def test_a_plugin_that_raises_is_named_by_kind_and_place_but_not_quoted(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with pair() as both:
            broken = replace(both.left.registry, auth_methods={"broken": Broken()})
            worker = Worker(broken, _plane(both.left), asyncio.get_running_loop())
            context = AuthContext(b"", lambda _key, data: data, Identity(2, b"x"), "hunter2-secret")
            found = await outcome(worker, Sign("broken", context))
            assert isinstance(found, FynxError)
            assert "ValueError" in str(found)
            assert "test_work.py" in caplog.text
            assert "hunter2" not in caplog.text + str(found)
            worker.close()

    run(test)


def test_randomness_is_the_one_that_was_given() -> None:
    async def test() -> None:
        asked: list[int] = []

        def source(count: int) -> bytes:
            asked.append(count)
            return bytes(range(count))

        random: Random = source
        async with pair() as both:
            worker = Worker(both.left.registry, _plane(both.left), asyncio.get_running_loop(), random)
            first = await outcome(worker, KexStart(X25519))
            second = await outcome(worker, KexStart(X25519))
            assert first.public == second.public  # type: ignore[attr-defined]
            assert sum(asked) >= 64
            worker.close()

    run(test)


def test_authorisation_is_asked_on_another_thread_and_yes_is_the_answer_without_listeners() -> None:
    async def test() -> None:
        async with pair() as both:
            worker = Worker(boot(["default"]), _plane(both.left), asyncio.get_running_loop())
            assert await outcome(worker, Authorize(AuthorizeRequest("hq", "192.0.2.1", "x"))) is True
            worker.close()

    run(test)


def test_threads_bring_results_and_exceptions_back_to_the_loop() -> None:
    async def test() -> None:
        threads = Threads("test", asyncio.get_running_loop(), 2)
        here, found = threading.get_ident(), list[object]()
        done_on: set[int] = set()

        def done(result: object) -> None:
            found.append(result)
            done_on.add(threading.get_ident())

        for number in range(20):
            threads.submit(lambda number=number: (number, threading.get_ident() != here), done)
        threads.submit(lambda: 1 // 0, done)
        await soon(lambda: len(found) == 21)
        assert {(number, True) for number in range(20)} <= {each for each in found if isinstance(each, tuple)}
        assert any(isinstance(each, ZeroDivisionError) for each in found)
        assert done_on == {here}
        threads.close()

    run(test)


def _plane(host: Host) -> Plane:
    assert host.plane is not None
    return host.plane
