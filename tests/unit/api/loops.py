"""Runs a test in a loop of its own, and gives what the tests of the library share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

P = ParamSpec("P")
KEY = "a pre-shared key of more than thirty-two octets"


def looped(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 100))

    return run


async def soon(true: Callable[[], object]) -> None:
    """Lets the loop run until something is true."""
    while not true():
        await asyncio.sleep(0.002)
