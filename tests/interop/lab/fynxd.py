"""Fynx as a process of its own in a namespace, configured by YAML and asked through its command line."""

from __future__ import annotations


class Fynx: ...
