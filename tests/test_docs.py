"""The documentation says what the code says: hooks, links, RFCs, and the examples of the README."""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fynx import config, errors, faults
from fynx.config import model
from fynx.plugin import hookspecs
from fynx.recovery import ErrorCode
from fynx.run import failures

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")), *ROOT.glob("benches/*.md")]
HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("fynx_")}
CONTRACT = ("When:", "How often:", "Thread:", "Exception")


def hooks_page() -> str:
    """docs/hooks.md as it must be; ``FYNX_UPDATE_DOCS=1 ./run test tests/test_docs.py`` writes it."""
    parts = ["# Hooks\n\nFrom the docstrings of `fynx/plugin/hookspecs.py`. Types are in `fynx.plugin`.\n"]
    parts += [f"## {name}\n\n```python\n{signature(name, hook)}\n```\n\n{doc(hook)}\n" for name, hook in HOOKS.items()]
    return "\n".join(parts)


def signature(name: str, hook: Callable[..., object]) -> str:
    return f"def {name}{inspect.signature(hook)}".replace("'", "")


def doc(hook: Callable[..., object]) -> str:
    return inspect.getdoc(hook) or ""


def test_the_page_of_hooks_is_that_of_the_source() -> None:
    page = ROOT / "docs/hooks.md"
    if os.environ.get("FYNX_UPDATE_DOCS"):
        page.write_text(hooks_page())
    assert page.read_text() == hooks_page()


@pytest.mark.parametrize("name", HOOKS)
def test_each_hook_states_its_contract(name: str) -> None:
    missing = [part for part in CONTRACT if part not in doc(HOOKS[name])]
    assert not missing, f"{name} does not say {missing}"


def test_every_link_between_pages_leads_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken, "\n".join(broken)


def test_every_rfc_that_the_source_cites_stands_in_the_coverage_page() -> None:
    source = [*ROOT.glob("fynx/**/*.py"), *ROOT.glob("plugins/**/*.py"), *ROOT.glob("cext/**/*.[ch]")]
    cited = {number for path in source for number in re.findall(r"\bRFC (\d{4})\b", path.read_text())}
    listed = set(re.findall(r"\b(\d{4})\b", (ROOT / "docs/rfc-coverage.md").read_text()))
    assert cited <= listed, f"not in docs/rfc-coverage.md: {sorted(cited - listed)}"


def test_no_page_names_a_machine_of_ours_or_the_foreign_package() -> None:
    for page in PAGES:
        text = page.read_text()
        assert "/home/" not in text, page
        assert "pip install fynx" not in text, page


def test_every_reason_to_drop_stands_in_the_page_of_errors() -> None:
    page = (ROOT / "docs/errors.md").read_text()
    lists = re.findall(r"X\(\w+,\s+\"(\w+)\"\)", (ROOT / "cext/drops.h").read_text().partition("FYNX_COUNTERS")[0])
    reasons = {reason.value for reason in errors.Drop} | set(lists)
    assert len(lists) > 20
    assert not {reason for reason in reasons if f"`{reason}`" not in page}


@pytest.mark.parametrize("code", ErrorCode, ids=str)
def test_every_error_code_has_its_place_in_the_page_of_errors(code: ErrorCode) -> None:
    """The place names the classes that have the code, says what they mean, and what to do."""
    page = (ROOT / "docs/errors.md").read_text()
    (place,) = re.findall(rf"^### {code}\n(.*?)(?=^#)", page, re.DOTALL | re.MULTILINE)
    classes = [one for module in (errors, faults, failures) for one in vars(module).values() if inspect.isclass(one)]
    named = {one.__name__ for one in classes if issubclass(one, errors.FynxError) and code_of_class(one) == code}
    assert named == set(re.findall(r"`(\w+)`", place.partition(":")[0]))
    assert len(place.partition("What to do: ")[2]) > 40


def code_of_class(kind: type[errors.FynxError]) -> int | None:
    """None for bases, and for errors that have no code."""
    if kind in (faults.Fault, faults.Structured, faults.Mismatch):
        return None
    return kind.number if issubclass(kind, faults.Fault) else kind.code


def test_every_key_of_the_configuration_stands_in_its_page() -> None:
    page = (ROOT / "docs/configuration.md").read_text()
    models = (model.Config, model.Host, model.Remote, model.Local, model.Peer, model.Child)
    models += (model.Retransmission, model.Lifetime, model.IkeLifetime)
    fields = {field.name for one in models for field in dataclasses.fields(one) if not field.metadata.get("internal")}
    assert not {name for name in fields if not re.search(rf"`(remote\.|local\.)?{name}`", page)}


def test_the_examples_are_valid_configurations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HQ_PSK", "another secret of more than thirty-two octets")
    for name in ("hq.psk", "psk", "secrets/hq.psk"):
        secret = tmp_path / name
        secret.parent.mkdir(exist_ok=True)
        secret.write_text("a secret of more than thirty-two octets, for tests\n")
        secret.chmod(0o600)
    blocks = [
        block
        for page in PAGES
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
        if page.parent.name != "howto" and "examples" not in page.parts  # theirs with their plugins: tests/examples
    ]
    assert len(blocks) >= 4
    for number, block in enumerate(blocks):
        path = tmp_path / f"example{number}.yaml"
        whole = "peers:" in block
        path.write_text(block if whole else f"{block}\npeers: {{}}\n")
        path.chmod(0o600)
        assert bool(config.load(path).peers) is whole, block


def test_every_test_that_the_page_of_interoperability_names_is_there() -> None:
    page = (ROOT / "docs/interop.md").read_text()
    ten, life = (set(re.findall(r"`(test_\w+)`", part)) for part in page.split("## The life of an SA"))
    there = {
        found
        for file in (ROOT / "tests/interop").glob("*.py")
        for found in re.findall(r"def (test_\w+)", file.read_text())
    }
    assert len(ten) == 10
    assert ten | life <= there


GUIDE = {
    "install": ("README.md", "./run demo"),
    "quick start": ("docs/tutorial.md", "## 1. See it work"),
    "configuration": ("docs/configuration.md", "# Configuration"),
    "cipher suites": ("docs/configuration.md", "aes256gcm16-prfsha384-x25519"),
    "background tasks": ("docs/library.md", "rekey"),
    "many connections": ("docs/library.md", "many_clients.py"),
    "logging": ("docs/monitoring.md", "fynx logs"),
    "metrics": ("docs/monitoring.md", "fynx_esp_drops"),
    "errors": ("docs/errors.md", "## Codes"),
    "pitfall: port 500": ("docs/errors.md", "CAP_NET_BIND_SERVICE"),
    "pitfall: firewall": ("docs/errors.md", "UDP 500 and 4500"),
    "pitfall: keys differ": ("docs/errors.md", "The pre-shared keys differ"),
    "pitfall: proposals differ": ("docs/errors.md", "The proposals differ"),
    "pitfall: NAT": ("docs/errors.md", "Behind a NAT"),
    "troubleshooting": ("docs/errors.md", "## Troubleshooting"),
    "security advice": ("SECURITY.md", "# Security"),
    "API reference": ("docs/reference/library.md", "fynx.connect"),
    "architecture": ("docs/architecture.md", "# Architecture"),
    "interoperability": ("docs/interop.md", "## The ten scenarios"),
    "benchmarks": ("benches/README.md", "# Measurements"),
}


@pytest.mark.parametrize("topic", GUIDE)
def test_the_guide_covers(topic: str) -> None:
    """What users of the first version were promised (checklist Q1, Q2)."""
    page, words = GUIDE[topic]
    assert words in (ROOT / page).read_text()
