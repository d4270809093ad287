"""Measurements: ``./run bench`` lists them, ``./run bench NAME [--json]`` runs one."""
