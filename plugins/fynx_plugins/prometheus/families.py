"""The facts of a host as families of metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UnknownMetricFamily,
)

from fynx.plugin import Histogram

TRAFFIC = {
    "bytes_in": "Octets of inner packets from the peer, on the Child SAs that stand.",
    "bytes_out": "Octets of inner packets to the peer, on the Child SAs that stand.",
    "packets_in": "Inner packets from the peer, on the Child SAs that stand.",
    "packets_out": "Inner packets to the peer, on the Child SAs that stand.",
}
OTHERS = "others"
"""The label of all peers beyond the cap."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a host tells at one moment."""

    metrics: Mapping[str, int]
    histograms: Mapping[str, Histogram]
    counters: Mapping[str, int]
    status: Mapping[str, Any]


def families(facts: Facts, peers_at_most: int) -> Iterator[Metric]:
    yield from (_metric(f"fynx_{name}", value) for name, value in facts.metrics.items())
    yield from (
        _histogram(f"fynx_{name.removesuffix('_ms')}_seconds", histogram)
        for name, histogram in facts.histograms.items()
    )
    yield _labelled("fynx_ike_events", "Counters of the IKE side and of plugins, by name.", facts.counters)
    plane = facts.status.get("plane", {}).get("counters", {})
    drops = {name.removeprefix("drop_"): count for name, count in plane.items() if name.startswith("drop_")}
    yield _labelled("fynx_esp_drops", "Packets that the data plane refused, by reason.", drops)
    yield from _workers(facts.status.get("plane", {}).get("workers", []))
    yield from _peers(facts.status.get("peers", []), peers_at_most)


def _metric(name: str, value: int) -> Metric:
    if name.endswith("_active"):
        return GaugeMetricFamily(name, "Number that stand now.", value=value)
    if name.endswith("_total"):
        return CounterMetricFamily(name.removesuffix("_total"), "Since the host started.", value=value)
    return UnknownMetricFamily(name, "Since the host started; it only grows.", value=value)


def _histogram(name: str, histogram: Histogram) -> Metric:
    """In seconds, as is the custom with Prometheus; ours are in milliseconds."""
    buckets, sum_so_far = [], 0
    for bound, count in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
        sum_so_far += count
        buckets.append(("+Inf" if bound == float("inf") else f"{bound / 1000}", sum_so_far))
    return HistogramMetricFamily(name, "In seconds.", buckets=buckets, sum_value=histogram.total / 1000)


def _labelled(name: str, text: str, values: Mapping[str, int]) -> Metric:
    family = UnknownMetricFamily(name, text, labels=["name"])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


WORKERS = {
    "fynx_worker_running": "1 while the thread of the data plane runs.",
    "fynx_worker_restarts": "How often the thread began anew.",
    "fynx_worker_wakeups": "How often the thread was woken by something to do.",
    "fynx_worker_waiting_bytes": "Octets in its sockets and rings that nobody has taken yet.",
}


def _workers(workers: list[Mapping[str, Any]]) -> Iterator[Metric]:
    labels = ["worker", "direction"]
    families = {name: GaugeMetricFamily(name, text, labels=labels) for name, text in WORKERS.items()}
    counted = UnknownMetricFamily("fynx_worker_events", "Counters of each thread, by name.", labels=[*labels, "name"])
    refused = UnknownMetricFamily("fynx_worker_drops", "Packets it refused, by reason.", labels=[*labels, "name"])
    for each in workers:
        key = [str(each["worker"]), each["direction"]]
        facts = (int(each["state"] == "running"), each["restarts"], each["wakeups"], sum(each["waiting"].values()))
        for family, value in zip(families.values(), facts, strict=True):
            family.add_metric(key, value)
        for by_name, values in ((counted, each["counters"]), (refused, each["drops"])):
            for name, value in values.items():
                by_name.add_metric([*key, name], value)
    yield from (*families.values(), counted, refused)


def _peers(peers: list[Mapping[str, Any]], at_most: int) -> Iterator[Metric]:
    up = GaugeMetricFamily("fynx_peer_up", "1 while an IKE SA with the peer stands.", labels=["peer"])
    for peer in peers[:at_most]:
        up.add_metric([peer["name"]], int(peer["established_s"] is not None))
    yield up
    for key, text in TRAFFIC.items():
        sums: dict[str, int] = {}
        for place, peer in enumerate(peers):
            label = peer["name"] if place < at_most else OTHERS
            sums[label] = sums.get(label, 0) + sum(child[key] for child in peer["children"])
        family = GaugeMetricFamily(f"fynx_peer_{key}", text, labels=["peer"])
        for label, value in sums.items():
            family.add_metric([label], value)
        yield family
