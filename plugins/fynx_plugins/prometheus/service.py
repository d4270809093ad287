"""The service: answers scrapes from a thread of its own, asks the host on the host's loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from fynx.plugin import Control

try:
    from prometheus_client import CollectorRegistry, start_http_server
    from prometheus_client.core import Metric
except ImportError as error:
    raise ImportError("it needs the package prometheus-client: pip install 'fynx-ipsec[prometheus]'") from error

from fynx_plugins.prometheus.families import Facts, families

log = logging.getLogger("fynx.prometheus")

ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class PrometheusConfig:
    """Where Prometheus finds the metrics."""

    listen: str = "127.0.0.1"
    """Address to listen on. Whoever reaches it can read names of peers and amounts of traffic."""
    port: int = 9469
    """Port to listen on; 0 takes a free one."""
    peers_at_most: int = 100
    """Peers with series of their own; all others are summed up as ``others``."""


class PrometheusService:
    """One endpoint per host. ``address`` tells where it listens, once it does."""

    name = "prometheus"

    def __init__(self) -> None:
        self.address = ("", 0)

    async def run(self, control: Control) -> None:
        section = control.section("prometheus")
        config = section if isinstance(section, PrometheusConfig) else PrometheusConfig()
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(control, asyncio.get_running_loop(), config.peers_at_most))
        try:
            server, thread = start_http_server(config.port, config.listen, registry)
        except OSError as error:
            log.error("no metrics for Prometheus: %s port %d: %s", config.listen, config.port, error.strerror)
            return
        self.address = (config.listen, server.server_port)
        log.info("metrics for Prometheus: http://%s:%d/metrics", *self.address)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(server.shutdown)
            server.server_close()
            await asyncio.to_thread(thread.join)


class _Collector:
    def __init__(self, control: Control, loop: asyncio.AbstractEventLoop, peers_at_most: int) -> None:
        self._control, self._loop, self._peers_at_most = control, loop, peers_at_most

    def collect(self) -> Iterator[Metric]:
        facts = asyncio.run_coroutine_threadsafe(self._read(), self._loop).result(ANSWER_S)
        yield from families(facts, self._peers_at_most)

    async def _read(self) -> Facts:
        control = self._control
        return Facts(control.metrics(), control.histograms(), control.counters(), control.status())
