"""Distributions of third parties, as their authors have them: built, installed and tested outside of this checkout."""

from __future__ import annotations

import json

import pytest

from tests.fresh import EXAMPLES, Fresh

DISTRIBUTIONS = {"fynx-tcp": "tcp", "fynx-private-gcm": "private_gcm"}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_tests_of_an_example_distribution_pass_where_it_is_installed(fresh: Fresh, name: str) -> None:
    done = fresh("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=fresh.folder / name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_fynx_comes_from_the_wheel_and_not_from_the_checkout(fresh: Fresh) -> None:
    where = fresh("-c", "import fynx, fynx_tcp, fynx_private_gcm; print(fynx.__file__, fynx.get_include())").stdout
    assert str(EXAMPLES.parents[1]) not in where
    assert (fresh.folder / where.split()[1] / "fynx.h").is_file()


def test_an_installed_plugin_is_listed_and_not_enabled_by_itself(fresh: Fresh) -> None:
    rows = json.loads(fresh("-m", "fynx", "plugins", "list", "--json").stdout)["plugins"]
    found = {row["name"]: row for row in rows if row["distribution"] in DISTRIBUTIONS}
    assert {name: row["distribution"] for name, row in found.items()} == {y: x for x, y in DISTRIBUTIONS.items()}
    assert not any(row["enabled"] for row in found.values())
    assert {row["api"] for row in found.values()} == {1}
    assert found["private_gcm"]["provides"] == ["Cipher", "Provider"]


def test_a_yaml_file_enables_both_and_names_what_they_bring(fresh: Fresh) -> None:
    file = fresh.folder / "site.yaml"
    file.touch(mode=0o600)
    file.write_text(
        """
plugins: [default, +tcp, +private_gcm]
providers: [private_gcm, libcrypto]
host: {transport: {tcp: {listen: [192.0.2.1], port: 4501}}}
peers:
  hq:
    remote: {address: 198.51.100.1, id: hq.test, auth: {psk: {secret: "a secret for the tests of plugins, long"}}}
    local: {id: me.test, auth: {psk: {secret: "a secret for the tests of plugins, long"}}}
    ike: [privategcm128-prfsha256-x25519]
    children: {lan: {local: [10.1.0.0/16], remote: [10.2.0.0/16], esp: [privategcm256]}}
"""
    )
    done = fresh("-m", "fynx", "check", str(file))
    assert done.returncode == 0, done.stderr
    info = json.loads(fresh("-m", "fynx", "plugins", "info", "tcp", "--json", "-c", str(file)).stdout)
    assert info["registers"] == [
        {"kind": "transport", "key": "tcp"},
        {"kind": "section", "key": "host.transport.tcp"},
    ]
