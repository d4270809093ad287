"""Store ``file``: one file per secret below a directory, modes and owners checked before anything is read."""

from __future__ import annotations

from fynx.plugin import Section, Store, hookimpl
from fynx_plugins.store_file.store import FileStore, FileStoreConfig

FYNX_API = 1


@hookimpl
def fynx_stores() -> list[Store]:
    return [FileStore()]


@hookimpl
def fynx_sections() -> list[Section]:
    return [Section("host.store.file", FileStoreConfig)]
