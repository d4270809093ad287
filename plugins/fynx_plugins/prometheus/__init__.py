"""An endpoint for Prometheus: the 18 metrics with the prefix ``fynx_``, histograms, refusals, and traffic per peer.

On loopback unless the configuration says otherwise. Labels are names from the configuration, never identities of peers,
and there is a cap on them (bad-inputs L22).
"""

from fynx.plugin import Section, Service, hookimpl
from fynx_plugins.prometheus.service import PrometheusConfig, PrometheusService

FYNX_API = 1


@hookimpl
def fynx_sections() -> list[Section]:
    return [Section("prometheus", PrometheusConfig)]


@hookimpl
def fynx_services() -> list[Service]:
    return [PrometheusService()]


__all__ = ["PrometheusConfig", "PrometheusService"]
