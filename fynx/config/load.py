"""Loads ``fynx.yaml``: reads it safely, boots the plugins it lists, decodes, checks, reports every error at once."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from fynx.config import closed
from fynx.config.checks import check_pinned, check_psk, record_checks, text_checks
from fynx.config.decode import BAD, NAME, Decoder, Rules
from fynx.config.model import Choice, Config
from fynx.config.parse import parse
from fynx.config.pools import check_pools
from fynx.config.problems import Problems, Wrong
from fynx.config.secret import Secrets, is_reference, read_at_most
from fynx.config.sections import Sections
from fynx.config.tree import LARGEST, Mark, Node, Scalar, Table, find, plain
from fynx.errors import ConfigError, PluginError
from fynx.kernel.declared import declared
from fynx.kernel.entrypoints import DISTRIBUTION, Candidate
from fynx.kernel.file import FileCandidate
from fynx.kernel.loader import boot, installed, select
from fynx.kernel.registry import Registry
from fynx.kernel.trial import crashes
from fynx.plugin.auth import Secret
from fynx.plugin.store import OpenStore

DEFAULT_PLUGINS = ("default",)


def load(
    source: str | Path,
    *,
    registry: Registry | None = None,
    environment: Mapping[str, str] | None = None,
    base: Path | None = None,
    files: Sequence[FileCandidate] = (),
    left_out: Mapping[str, str] = MappingProxyType({}),
) -> Config:
    """The configuration in a file (a Path, or text without a line feed) or in the text itself.

    ``registry`` stands in for booting the plugins that the file lists; ``base`` is the folder that ``@file:`` starts
    from, the file's own by default; ``files`` are plugins that no list names; ``left_out`` are plugins that are not to
    be booted, and why: peers that cannot do without stay closed. ``Config.registry`` is what booted.
    Raises ``ConfigError`` with every problem.
    """
    file = _read(source)
    problems = Problems(file.name)
    tree = parse(file.data, problems)
    if not isinstance(tree, Table):
        problems.error("keys and values belong here", mark=tree.mark, remedy="fynx init writes an example")
        raise ConfigError(problems.errors)
    booted = registry or _boot(tree, problems, files, left_out)
    if booted is None:
        raise ConfigError(problems.errors)
    given = dict(os.environ if environment is None else environment)
    config = _Loading(file, tree, booted, problems, given, base).config()
    names = closed.peers_of(problems.errors, tree) if left_out else frozenset()
    if names:
        again = Problems(file.name)
        config = _Loading(file, closed.closed(tree, names), booted, again, given, base).config()
        problems = problems if again.errors else again
    if problems.errors or config is None:
        raise ConfigError(problems.errors)
    return replace(config, left_out=left_out, closed=names)


def crashing(source: str | Path, files: Sequence[FileCandidate] = ()) -> Mapping[str, str]:
    """The plugins of third parties that the file lists and that take the program down, each with how. It forks.

    Raises ``PluginError`` for one that a host must not do without: it may be the one that says who may connect.
    """
    there = installed()
    if not files and all(one.distribution == DISTRIBUTION for same in there.values() for one in same):
        return {}
    file = _read(source)
    problems = Problems(file.name)
    tree = parse(file.data, problems)
    names = _plugin_names(tree, problems) if isinstance(tree, Table) else None
    chosen, _ = select(names or (), there)
    candidates = [*(one.candidate for one in chosen), *files]
    found = crashes(candidates)
    for one in candidates:
        if one.name in found and not _dispensable(one):
            raise PluginError(one.name, found[one.name], distribution=one.origin)
    return found


def _dispensable(candidate: Candidate) -> bool:
    """By its source: it cannot be the one that decides who may connect."""
    told = declared(candidate)
    return told.api is not None and not told.may_authorize


def boot_listed(source: str | Path, files: Sequence[FileCandidate] = ()) -> Registry:
    """Boots the plugins that a file lists and looks at nothing else in it. Raises ``ConfigError``."""
    file = _read(source)
    problems = Problems(file.name)
    tree = parse(file.data, problems)
    if not isinstance(tree, Table):
        problems.error("keys and values belong here", mark=tree.mark, remedy="fynx init writes an example")
        raise ConfigError(problems.errors)
    registry = _boot(tree, problems, files)
    if registry is None or problems.errors:
        raise ConfigError(problems.errors)
    return registry


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    path: Path | None
    data: bytes = field(repr=False)
    exposed: bool = False
    """Others than its owner can read it."""


def _read(source: str | Path) -> _File:
    if isinstance(source, str) and ("\n" in source or not source):
        return _File("<text>", None, source.encode())
    path = Path(source)
    name = str(path)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        problem = Problems(name)
        problem.error(f"cannot be read: {error.strerror}", remedy="fynx init writes an example; -c names another file")
        raise ConfigError(problem.errors) from None
    try:
        seen = os.fstat(fd)
        if stat.S_ISREG(seen.st_mode):
            return _File(name, path, read_at_most(fd, LARGEST + 1), bool(seen.st_mode & 0o077))
    finally:
        os.close(fd)
    problem = Problems(name)
    problem.error("is not a regular file", remedy=f"ls -l {shlex.quote(name)}")
    raise ConfigError(problem.errors)


def _boot(
    tree: Table, problems: Problems, files: Sequence[FileCandidate], left_out: Mapping[str, str] = MappingProxyType({})
) -> Registry | None:
    """Boots what ``plugins`` lists, or of it what there is, so that the rest of the file can be looked at too: the
    problems then say what is missing. None when nothing boots."""
    names = _plugin_names(tree, problems)
    if names is None:
        return None
    chosen, errors = select(names, installed())
    registry = None
    try:
        wanted = [one.name for one in chosen if one.name not in left_out] if errors or left_out else names
        registry = boot(wanted, files=[one for one in files if one.name not in left_out])
    except PluginError as error:
        errors = (*errors, error)
    except ConfigError as error:
        for problem in error.problems:
            problems.adopt(problem, path="plugins", mark=tree.marks.get("plugins"))
    for one in errors:
        node = _entry(tree, one.path)
        origin = f" (distribution {one.distribution})" if one.distribution else ""
        mark = node.mark if node else tree.marks.get("plugins", tree.mark)
        problems.error(f"plugin {one.plugin!r}{origin}: {one.why}", path=one.path, mark=mark)
    return registry


def _plugin_names(tree: Table, problems: Problems) -> tuple[str, ...] | None:
    node = tree.entries.get("plugins")
    if node is None:
        return DEFAULT_PLUGINS
    names = plain(node)
    if isinstance(names, tuple) and all(isinstance(name, str) for name in names):
        return tuple(str(name) for name in names)
    problems.error("a list of names belongs here", path="plugins", mark=node.mark, remedy="plugins: [default, +acme]")
    return None


def _entry(tree: Table, path: str) -> Node | None:
    match = re.fullmatch(r"plugins\[([0-9]+)\]", path)
    node = tree.entries.get("plugins")
    items = getattr(node, "items", ())
    return items[int(match[1])] if match and int(match[1]) < len(items) else node


class _Loading:
    """One load: what its parts need of each other."""

    def __init__(
        self,
        file: _File,
        tree: Table,
        registry: Registry,
        problems: Problems,
        environment: Mapping[str, str],
        base: Path | None,
    ) -> None:
        self._file, self._tree, self._registry, self._problems = file, tree, registry, problems
        self._sections = Sections(registry)
        self._stores: dict[str, OpenStore] = {}
        self._extra: dict[str, object] = {}
        self._variables: list[str] = []
        folder = base or (file.path.parent if file.path else Path())
        self._secrets = Secrets(environment, folder, self._open_store)

    def config(self) -> Config | None:
        """None when there are problems."""
        for what in self._sections.clashes:
            self._problems.error(what, path="plugins", mark=self._tree.marks.get("plugins", self._tree.mark))
        decoder = Decoder(self._rules(), self._problems)
        config = decoder.record(self._tree, Config, "")
        if config is BAD or not isinstance(config, Config):
            return None
        self._check(config)
        return replace(
            config,
            name=config.name or self._stem(),
            providers=config.providers,
            sections=MappingProxyType({**self._sections.defaults(), **self._extra}),
            registry=self._registry,
            source=str(self._file.path or ""),
            warnings=self._problems.warnings,
            variables=tuple(dict.fromkeys(self._variables)),
            places=MappingProxyType(decoder.places),
        )

    def _rules(self) -> Rules:
        return Rules(
            checks=text_checks(self._registry),
            choose=self._sections.choose,
            chosen=self._chosen,
            secret=self._secret,
            extras=self._sections.extras,
            found=self._extra.__setitem__,
            after=record_checks(self._problems),
        )

    def _check(self, config: Config) -> None:
        mark = self._tree.marks.get("providers", self._tree.mark)
        wrong = check_pinned(config.providers, self._registry)
        if wrong:
            self._problems.error(
                wrong, path="providers", mark=mark, remedy="name more than one, or install the library"
            )
        for path, found in check_pools(config):
            self._problems.error(str(found), path=path, mark=self._place(path), remedy=found.remedy)
        if config.host.keylog:
            what = f"the keys of all tunnels are written to {config.host.keylog}: whoever reads it reads the traffic"
            self._problems.warning(what, path="host.keylog", mark=self._place("host.keylog"), remedy="remove the key")

    def _chosen(self, kind: str, name: str, section: object, path: str, mark: Mark) -> Choice:
        if kind == "auth" and name == "psk":
            allowed = find(self._tree, f"{path.removesuffix('.auth.psk').rpartition('.')[0]}.allow_weak_psk")
            weak = isinstance(allowed, Scalar) and allowed.value is True
            check_psk(section, path, self._place(f"{path}.secret") or mark, self._problems, weak=weak)
        return Choice(name, section)

    def _secret(self, text: str, path: str, mark: Mark) -> Secret:
        secret = self._secrets.read(text)
        if text.startswith("@env:"):
            self._variables.append(text.removeprefix("@env:"))
        if not is_reference(text) and self._file.exposed:
            remedy = f"chmod 0600 {shlex.quote(self._file.name)}, or move the secret to an @file: of that mode"
            self._problems.warning("a secret in a file that others can read", path=path, mark=mark, remedy=remedy)
        return secret

    def _open_store(self) -> OpenStore:
        if "open" not in self._stores:
            self._stores["open"] = self._store()
        return self._stores["open"]

    def _store(self) -> OpenStore:
        node = find(self._tree, "host.store")
        if not isinstance(node, Table) or len(node.entries) != 1:
            raise Wrong("@store: needs a store", "host: {store: {file: {path: /etc/fynx/store}}}")
        ((name, section),) = node.entries.items()
        _, model = self._sections.choose("store", name)
        quiet = Decoder(self._rules(), Problems())
        value = quiet.value(section, model, f"host.store.{name}") if model else None
        if value is BAD:
            raise Wrong("the store's own settings are wrong", f"see host.store.{name}")
        return self._registry.stores[name].open(value)

    def _place(self, path: str) -> Mark | None:
        node = find(self._tree, path)
        return node.mark if node else None

    def _stem(self) -> str:
        stem = self._file.path.stem if self._file.path else "fynx"
        return stem if NAME.fullmatch(stem) else "fynx"
