"""Debian's Prometheus scrapes two hosts with a tunnel between them; promtool reads what we ship for it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from fynx.kernel.loader import boot
from fynx.metrics import NAMES
from fynx.run.host import Host
from fynx_plugins.memory import Switchboard
from fynx_plugins.prometheus import PrometheusConfig, PrometheusService
from tests.unit.run.pair import on_switchboard, packet, plane, run, soon

MONITORING = Path(__file__).resolve().parents[2] / "docs" / "monitoring"


def watched(side: str, network: Switchboard, section: PrometheusConfig) -> tuple[Host, PrometheusService]:
    registry = boot(["default", "+prometheus"])
    config = replace(on_switchboard(side, network), sections={"prometheus": section}, registry=registry)
    service = registry.services[0]
    assert isinstance(service, PrometheusService)
    return Host(config, registry), service


def page(service: PrometheusService) -> bytes:
    with urllib.request.urlopen("http://{}:{}/metrics".format(*service.address), timeout=60) as answer:
        found: bytes = answer.read()
    return found


def scrape(service: PrometheusService) -> dict[str, float]:
    """Series with its labels -> value."""
    lines = page(service).decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_prometheus_scrapes_what_the_host_counts(tmp_path: Path) -> None:
    async def test() -> None:
        network = Switchboard()
        left, service = watched("left", network, PrometheusConfig(port=0))
        right = Host(on_switchboard("right", network), boot(["default"]))
        await right.start()
        await left.start()
        try:
            await soon(lambda: service.address[1])
            await left.up("right", timeout_s=60)
            plane(left).send_inner([packet("left", number) for number in range(7)])
            with prometheus(tmp_path, service.address[1]) as api:
                sent = await asyncio.to_thread(value_of, api, "fynx_esp_packets_encrypted", 7.0)
                assert sent == 7.0
                assert await asyncio.to_thread(value_of, api, "fynx_ike_sa_active", 1.0) == 1.0
                assert await asyncio.to_thread(value_of, api, 'fynx_peer_up{peer="right"}', 1.0) == 1.0
                series = await asyncio.to_thread(scrape, service)
                assert series['fynx_worker_events{direction="out",name="packets_out",worker="0"}'] == 7.0
                assert await asyncio.to_thread(value_of, api, "fynx_handshake_duration_seconds_count", 1.0) == 1.0
        finally:
            await left.stop(graceful=False)
            await right.stop(graceful=False)

    run(test)


def test_every_metric_of_the_checklist_has_a_series_and_promtool_finds_no_fault() -> None:
    async def test() -> None:
        left, service = watched("left", Switchboard(), PrometheusConfig(port=0))
        await left.start()
        try:
            await soon(lambda: service.address[1])
            series = await asyncio.to_thread(scrape, service)
            text = await asyncio.to_thread(page, service)
        finally:
            await left.stop(graceful=False)
        assert {f"fynx_{name}" for name in NAMES} <= series.keys()
        found = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
        assert found.returncode == 0, found.stderr.decode()

    run(test)


def test_peers_beyond_the_cap_share_one_series() -> None:
    """Row L22."""

    async def test() -> None:
        left, service = watched("left", Switchboard(), PrometheusConfig(port=0, peers_at_most=0))
        await left.start()
        try:
            await soon(lambda: service.address[1])
            series = await asyncio.to_thread(scrape, service)
        finally:
            await left.stop(graceful=False)
        assert [name for name in series if "right" in name] == []
        assert 'fynx_peer_bytes_in{peer="others"}' in series

    run(test)


def test_it_listens_on_loopback_unless_told_otherwise() -> None:
    """Row L22."""
    assert PrometheusConfig().listen == "127.0.0.1"


def test_a_port_in_use_is_said_and_the_host_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            left, _service = watched("left", Switchboard(), PrometheusConfig(port=taken.getsockname()[1]))
            await left.start()
            await soon(lambda: "no metrics for Prometheus" in caplog.text)
            assert left.status()["name"] == "left"
            await left.stop(graceful=False)

    run(test)


def test_alert_rules_are_sound_and_go_off_as_written() -> None:
    for command in (["check", "rules", "fynx.rules.yml"], ["test", "rules", "fynx.rules.test.yml"]):
        done = subprocess.run(["promtool", *command], cwd=MONITORING, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_rules_and_dashboard_name_only_series_that_exist(tmp_path: Path) -> None:
    expressions = dashboard_expressions()
    assert len(expressions) > 20
    rules = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(expressions)]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    named = set(re.findall(r"\bfynx_\w+", " ".join([*expressions, (MONITORING / "fynx.rules.yml").read_text()])))
    assert named - known_series() == set()


def dashboard_expressions() -> list[str]:
    board = json.loads((MONITORING / "fynx-dashboard.json").read_text())
    found = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    return [each.replace("$__rate_interval", "5m").replace("$instance", ".*") for each in found]


def known_series() -> set[str]:
    names: set[str] = set()

    async def test() -> None:
        left, service = watched("left", Switchboard(), PrometheusConfig(port=0))
        await left.start()
        await soon(lambda: service.address[1])
        text = await asyncio.to_thread(page, service)
        names.update(re.findall(r"\bfynx_\w+", text.decode()))
        await left.stop(graceful=False)

    run(test)
    return names


@contextmanager
def prometheus(folder: Path, target: int) -> Iterator[str]:
    """A server that scrapes ``target`` every second; yields the address of its API."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder / "prometheus.yml"
    jobs = [{"job_name": "fynx", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}]
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}))
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}/api/v1/query?query="
    finally:
        process.terminate()
        process.wait(60)


def value_of(api: str, query: str, wanted: float) -> float | None:
    """The value of one series, once it is ``wanted``; what it was last when that takes more than a minute."""
    value, end = None, time.monotonic() + 60
    while value != wanted and time.monotonic() < end:
        time.sleep(0.3)
        try:
            with urllib.request.urlopen(api + quote(query), timeout=20) as answer:
                result = json.loads(answer.read())["data"]["result"]
        except OSError:
            continue
        value = float(result[0]["value"][1]) if result else None
    return value
