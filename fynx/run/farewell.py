"""The end of a graceful stop: until all peers have confirmed, the time is up, or somebody is in a hurry."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def either(gone: Coroutine[Any, Any, object], hurried: asyncio.Event) -> None:
    """Returns with the first of the two; what still waits then is cancelled."""
    waits = [asyncio.ensure_future(gone), asyncio.ensure_future(hurried.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waits:
            task.cancel()
