"""Peers whose settings cannot be read without a plugin that is left out: nobody can connect as them, and what they
protect stays closed (fail closed)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from fynx.config.tree import Mark, Node, Scalar, Table
from fynx.errors import Problem

KEPT = ("local", "remote", "children", "unique", "pool", "request", "childless")
KEPT_OF_AN_END = ("address", "port", "id")
KEPT_OF_A_CHILD = ("local", "remote")


def peers_of(problems: Sequence[Problem], tree: Table) -> frozenset[str]:
    """The peers that all these problems are in; empty when one of them is elsewhere."""
    peers = tree.entries.get("peers")
    names = list(peers.entries) if isinstance(peers, Table) else []
    found = {_peer(problem.path, names) for problem in problems}
    return frozenset() if "" in found else frozenset(found)


def _peer(path: str, names: Sequence[str]) -> str:
    return next((one for one in names if path == f"peers.{one}" or path.startswith(f"peers.{one}.")), "")


def closed(tree: Table, names: frozenset[str]) -> Table:
    """The tree, and of these peers only what says whom and what they protect; a key that nobody has stands for
    theirs."""
    peers = tree.entries["peers"]
    assert isinstance(peers, Table)
    entries = {name: _closed(node) if name in names else node for name, node in peers.entries.items()}
    return _with(tree, peers=_with(peers, **entries))


def _closed(peer: Node) -> Node:
    if not isinstance(peer, Table):
        return peer
    ends = {key: _end(node) for key, node in peer.entries.items() if key in ("local", "remote")}
    children = peer.entries.get("children")
    if isinstance(children, Table):
        ends["children"] = _with(
            children, **{name: _only(one, KEPT_OF_A_CHILD) for name, one in children.entries.items()}
        )
    only = _only(peer, KEPT)
    assert isinstance(only, Table)
    return _with(only, **ends, start=Scalar(peer.mark, "none"))


def _end(node: Node) -> Node:
    end = _only(node, KEPT_OF_AN_END)
    if not isinstance(end, Table):
        return end
    secret = Table(end.mark, {"secret": Scalar(end.mark, secrets.token_hex(32))}, {"secret": end.mark})
    return _with(end, auth=Table(end.mark, {"psk": secret}, {"psk": end.mark}))


def _only(node: Node, keys: Sequence[str]) -> Node:
    if not isinstance(node, Table):
        return node
    kept = {key: value for key, value in node.entries.items() if key in keys}
    return Table(node.mark, kept, {key: node.marks[key] for key in kept})


def _with(table: Table, **entries: Node) -> Table:
    marks: dict[str, Mark] = {**dict.fromkeys(entries, table.mark), **table.marks}
    return Table(table.mark, {**table.entries, **entries}, marks)


__all__ = ["closed", "peers_of"]
