"""``fynx algorithms``: what can stand in a proposal, and which libraries run it in the C loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from fynx.cli.enabled import registry
from fynx.cli.options import config_option, json_option
from fynx.cli.output import as_json as print_json
from fynx.cli.output import table
from fynx.kernel.registry import Registry
from fynx.plugin.crypto import IMPLICIT_IV, Cipher, Provider

Row = dict[str, object]


@click.command()
@config_option
@json_option
def algorithms(config: Path | None, as_json: bool) -> None:
    """List the algorithms of the enabled plugins: the words of proposals, with their IANA numbers."""
    loaded = registry(config)
    facts = _facts(loaded)
    if as_json:
        providers = [{"name": one.name, "version": one.version} for one in loaded.providers]
        print_json("algorithms", {**facts, "providers": providers})
        return
    rows = [
        (noun, str(row["keyword"]), str(row["id"]), _use(row), str(row["plugin"]), _libraries(row))
        for noun, kind in zip(_NOUNS, facts.values(), strict=True)
        for row in kind
    ]
    table(("kind", "word", "id", "for", "plugin", "C loop"), rows)


_NOUNS = ("encryption", "PRF", "integrity", "key exchange")


def _facts(loaded: Registry) -> Mapping[str, list[Row]]:
    found = loaded.algorithms
    return {
        "ciphers": [_cipher(one, loaded) for one in found.ciphers.values()],
        "prfs": [_plain(one.keyword, one.transform_id, loaded) for one in found.prfs.values()],
        "integs": [_plain(one.keyword, one.transform_id, loaded) for one in found.integs.values()],
        "key_exchanges": [_plain(one.keyword, one.transform_id, loaded) for one in found.key_exchanges.values()],
    }


def _cipher(one: Cipher, loaded: Registry) -> Row:
    row = _plain(one.keyword, one.transform_id, loaded)
    integs = [0] if one.aead else list(loaded.algorithms.integs)
    names = [provider.name for provider in loaded.providers if _has(provider, one, integs)]
    return row | {"key_bits": one.key_bits, "aead": one.aead, "ike": one.ike, "esp": one.esp, "providers": names}


def _has(provider: Provider, cipher: Cipher, integs: Iterable[int]) -> bool:
    encr_id = IMPLICIT_IV.get(cipher.transform_id, cipher.transform_id)
    return any(provider.ops(encr_id, cipher.key_bits, integ) for integ in integs)


def _plain(keyword: str, number: int, loaded: Registry) -> Row:
    return {"keyword": keyword, "id": number, "plugin": loaded.owners["keyword", keyword]}


def _use(row: Row) -> str:
    uses = [word for key, word in (("ike", "IKE"), ("esp", "ESP")) if row.get(key)]
    return ", ".join(uses)


def _libraries(row: Row) -> str:
    names = row.get("providers")
    if not isinstance(names, list):
        return ""
    return ", ".join(names) or "slow"
