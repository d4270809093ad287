"""Logs and events: the library sets nothing up, it writes to ``fynx.*`` loggers; events are objects."""

import asyncio
import logging

from fynx.events import Event
from fynx.testing import pair


async def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("fynx.events").setLevel(logging.INFO)
    seen: list[Event] = []

    async with pair() as both:

        async def listen() -> None:
            async for event in both.client.events():
                seen.append(event)

        task = asyncio.create_task(listen())
        await asyncio.sleep(0)
        await both.client.rekey_child_sa(both.client.child_spis()[0])
        await both.client.shutdown()
        await task
    print(f"{len(seen)} events, the last one: {type(seen[-1]).__name__}")


if __name__ == "__main__":
    asyncio.run(main())
