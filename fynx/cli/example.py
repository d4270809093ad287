"""The texts that ``fynx init`` writes: one tunnel, described for Fynx and for strongSwan on the other side."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from fynx.config.model import ESP, IKE


@dataclass(frozen=True, slots=True)
class Site:
    """What the example says. Its secret is written into both files and shown nowhere else."""

    peer: str
    remote_address: str
    remote_id: str
    local_id: str
    remote_net: str
    local_net: str
    plane: str
    secret: str = field(repr=False)


def fynx_yaml(site: Site) -> str:
    """The commented configuration."""
    return _FYNX.format(
        peer=_quoted(site.peer),
        address=_quoted(site.remote_address),
        remote_id=_quoted(site.remote_id),
        local_id=_quoted(site.local_id),
        remote_net=_quoted(site.remote_net),
        local_net=_quoted(site.local_net),
        secret=_quoted(site.secret),
        plane="{tun: {}}" if site.plane == "tun" else "{inproc: {}}",
        start="none" if site.remote_address == "any" else "initiate",
        ike="\n".join(f"      - {text}" for text in IKE),
        esp=", ".join(ESP),
    )


def swanctl_conf(site: Site) -> str:
    """The other side's ``swanctl.conf``: its local is our remote."""
    return _SWANCTL.format(
        remote_id=_quoted(site.remote_id),
        local_id=_quoted(site.local_id),
        remote_net=site.remote_net,
        local_net=site.local_net,
        secret=_quoted(site.secret),
        start="none",
        addresses=_REACHING_US if site.remote_address == "any" else "",
        ike=", ".join(IKE),
        esp=", ".join(ESP),
    )


def _quoted(text: str) -> str:
    """Double quotes that YAML and swanctl.conf read alike."""
    return json.dumps(text, ensure_ascii=False)


_FYNX = """\
# Configuration of Fynx. Check it with: fynx check FILE
# For completion in editors: fynx schema > fynx.schema.json, then the line
# yaml-language-server: $schema=fynx.schema.json

# Plugins to load: the preset `default`, and perhaps more (+name) or less (-name). Nothing else is imported.
plugins: [default]

# Libraries under the C loop, in order of preference.
providers: [ipsecmb, libcrypto, sodium]

host:
  # encap: always puts ESP into UDP even without a NAT, which is many times faster from user space; or auto.
  transport: {{udp: {{listen: ["0.0.0.0", "::"], ports: [500, 4500], encap: always}}}}
  # What carries the packets: a TUN device, or the program itself ({{inproc: {{}}}}).
  plane: {plane}

peers:
  {peer}:
    remote:
      # An address, a network, a DNS name, or any.
      address: {address}
      # Whom the peer must prove to be; any accepts every identity that authenticates.
      id: {remote_id}
      # This file holds a secret: keep it at mode 0600. Better apart: "@file:secrets/hq.psk", "@env:NAME", "@store:KEY".
      auth: {{psk: {{secret: {secret}}}}}
    local:
      id: {local_id}
      auth: {{psk: {{secret: {secret}}}}}

    # Proposals in order of preference; leave the key out for these defaults.
    ike:
{ike}

    # none: wait for the peer; initiate: bring it up at once and keep it up; trap: when traffic wants it.
    start: {start}

    # Seconds of silence after which the peer is asked whether it lives; null turns it off.
    liveness_s: 30

    children:
      lan:
        # Networks on our side and on the peer's; one service alone: "10.1.0.5[tcp/443]"
        local: [{local_net}]
        remote: [{remote_net}]
        esp: [{esp}]
        mode: tunnel

# Traffic that passes in clear (bypass) or never (discard), whatever the tunnels say:
# policies:
#   - {{action: bypass, remote: [192.0.2.10/32], priority: 10}}

# Keep protected traffic from leaving in clear while its tunnel is down.
kill_switch: true
"""

_REACHING_US = """\
    # Where Fynx is, so that this side can begin: swanctl --initiate --child lan
    # remote_addrs = fynx.example.net
"""

_SWANCTL = """\
# The other side of the tunnel for strongSwan: /etc/swanctl/swanctl.conf, then: swanctl --load-all
# It holds a secret: keep it at mode 0600.
connections {{
  fynx {{
    version = 2
{addresses}    encap = yes
    proposals = {ike}
    local {{
      auth = psk
      id = {remote_id}
    }}
    remote {{
      auth = psk
      id = {local_id}
    }}
    children {{
      lan {{
        local_ts = {remote_net}
        remote_ts = {local_net}
        esp_proposals = {esp}
        mode = tunnel
        start_action = {start}
      }}
    }}
  }}
}}
secrets {{
  ike-fynx {{
    id-1 = {remote_id}
    id-2 = {local_id}
    secret = {secret}
  }}
}}
"""
