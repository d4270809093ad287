"""Every hook says when, how often, on which thread, and what an exception does; and every hook is used in a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fynx.kernel.loader import hook_names
from fynx.plugin import hookspecs

TESTS = Path(__file__).resolve().parents[2]
HOOKS = hook_names()


def used_in_tests() -> set[str]:
    """Hooks that some test implements. This file names none, so it cannot count for itself."""
    texts = [path.read_text() for path in TESTS.rglob("*.py")]
    implemented = {name for text in texts for name in re.findall(r"def (fynx_\w+)\(", text)}
    return implemented | {name for text in texts for name in re.findall(r'returning\("(fynx_\w+)"', text)}


def test_there_is_a_hook_for_each_kind_of_plugin() -> None:
    assert len(HOOKS) >= 16


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("part", ["When: ", "How often: ", "Thread: ", "Exception"])
def test_the_contract_of_a_hook_is_complete(hook: str, part: str) -> None:
    words = " ".join((getattr(hookspecs, hook).__doc__ or "").split())
    found = re.search(rf"{part}[^:]*:? ?(\S.*)", words)
    assert found is not None, f"{hook} does not say {part!r}"
    assert len(found[1]) > 5


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_implemented_in_a_test(hook: str) -> None:
    assert hook in used_in_tests()


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_takes_values_and_never_the_kernel_or_the_configuration(hook: str) -> None:
    code = getattr(hookspecs, hook).__code__
    assert set(code.co_varnames[: code.co_argcount]) <= {"event", "record", "path", "request"}
