"""What a plugin says of itself, read from its source and not from running it: its interface version and its hooks."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fynx.kernel.entrypoints import Candidate
from fynx.kernel.file import FileCandidate

LARGEST = 1 << 20
AUTHORIZE = b"fynx_authorize"


@dataclass(frozen=True, slots=True)
class Declared:
    """``api`` None: the source was not found, or says it in a way that only running it would tell."""

    api: int | None = None
    hooks: tuple[str, ...] = ()
    may_authorize: bool = True
    """It says ``fynx_authorize`` somewhere, or takes names from elsewhere that it does not say."""


def declared(candidate: Candidate) -> Declared:
    """Never raises: a plugin that cannot be read has declared nothing."""
    try:
        source = _source(candidate)
        tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return Declared()
    return Declared(_api(tree), tuple(sorted(_hooks(tree))), AUTHORIZE in source or _takes_all(tree))


def _source(candidate: Candidate) -> bytes:
    if isinstance(candidate, FileCandidate):
        return candidate.source
    parts = candidate.value.partition(":")[0].split(".")
    for root in sys.path:
        base = Path(root or ".").joinpath(*parts)
        for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            if path.is_file() and path.stat().st_size <= LARGEST:
                return path.read_bytes()
    raise OSError(f"no source of {candidate.value}")


def _api(tree: ast.Module) -> int | None:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="FYNX_API")], value=ast.Constant(value=int(number))):
                return number
            case ast.AnnAssign(target=ast.Name(id="FYNX_API"), value=ast.Constant(value=int(number))):
                return number
    return None


def _hooks(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and any("hookimpl" in ast.unparse(one) for one in node.decorator_list):
            yield node.name


def _takes_all(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree))


__all__ = ["Declared", "declared"]
