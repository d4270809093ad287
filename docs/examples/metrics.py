"""The 18 counters of both ends after some traffic."""

import asyncio

from fynx.testing import pair


async def main() -> None:
    async with pair() as both:
        for number in range(10):
            await both.echo(str(number).encode())
        await both.client.rekey_child_sa(both.client.child_spis()[0])
        for name, end in (("client", both.client), ("server", both.server)):
            now = end.metrics().snapshot()
            print(f"{name}: {now.handshake_success_rate:.0%} of handshakes, {now.avg_encrypted_packet_size:.0f} octets")
            for key, value in now.as_dict().items():
                print(f"  {key} {value}")


if __name__ == "__main__":
    asyncio.run(main())
