"""Directives that read the code: pictures of its structure, the configuration, the commands."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.ext.graphviz import graphviz

ROOT = Path(__file__).resolve().parents[2]
STYLE = "node [shape=box, style=rounded, fontname=Helvetica, fontsize=11]; edge [color=gray40, fontsize=9];"


def setup(app: Sphinx) -> dict[str, object]:
    app.add_directive("mermaid", StateDiagram)
    app.add_directive("fynx-imports", Imports)
    app.add_directive("fynx-hooks", Hooks)
    app.add_directive("fynx-yaml", Yaml)
    app.add_directive("fynx-commands", Commands)
    app.connect("source-read", _leave_the_tree)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


class _Picture(Directive):
    has_content = True

    def picture(self, dot: str, caption: str) -> list[nodes.Node]:
        _read_again(self)
        node = graphviz()
        node["code"], node["options"] = dot, {}
        node["alt"] = caption
        return [node, nodes.caption(caption, caption)] if caption else [node]


class _Written(Directive):
    """Content in MyST, made by ``lines``."""

    has_content = False

    def lines(self) -> Iterator[str]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        _read_again(self)
        holder = nodes.section()
        holder.document = self.state.document
        made = StringList(list(self.lines()), source=type(self).__name__)
        self.state.nested_parse(made, self.content_offset, holder, match_titles=True)
        return list(holder.children)


class StateDiagram(_Picture):
    """The state diagrams of docs/states.md, which a forge draws by mermaid; here graphviz does."""

    def run(self) -> list[nodes.Node]:
        edges = []
        for line in self.content:
            found = re.match(r"\s*(\S+) --> (\S+?)(?:: (.*))?$", line)
            if found:
                before, after, event = (_node(each) for each in found.groups(""))
                after = '"end"' if after == '"*"' else after
                edges.append(f"{before} -> {after} [label={event}];")
        ends = '"*" [shape=point]; end [shape=doublecircle, style=filled, fillcolor=black, label="", width=0.1];'
        return self.picture(f"digraph states {{ rankdir=LR; {STYLE} {ends} {' '.join(edges)} }}", "")


class Imports(_Picture):
    """Which package of ``fynx`` imports which: an arrow for each pair that stands in the source."""

    def run(self) -> list[nodes.Node]:
        arrows = sorted({(here, there) for here, there in _imports() if here != there})
        lines = [f"{_node(here)} -> {_node(there)};" for here, there in arrows]
        dot = f"digraph imports {{ rankdir=TB; {STYLE} {' '.join(lines)} }}"
        return self.picture(dot, f"{len(arrows)} directions of import, read from the source.")


class Hooks(_Picture):
    """Which built-in plugin implements which hook."""

    def run(self) -> list[nodes.Node]:
        from fynx.plugin import hookspecs

        hooks = [name for name in vars(hookspecs) if name.startswith("fynx_")]
        lines = []
        for plugin in sorted(each.name for each in (ROOT / "plugins" / "fynx_plugins").iterdir() if each.is_dir()):
            source = ROOT / "plugins" / "fynx_plugins" / plugin / "__init__.py"
            text = source.read_text() if source.exists() else ""
            lines += [f"{_node(plugin)} -> {_node(hook)};" for hook in hooks if f"def {hook}(" in text]
        boxes = " ".join(f'{_node(hook)} [style="rounded,filled", fillcolor=gray92];' for hook in hooks)
        return self.picture(f"digraph hooks {{ rankdir=LR; {STYLE} {boxes} {' '.join(lines)} }}", "Plugins and hooks.")


class Yaml(_Written):
    """Every key of the configuration, from the same schema that ``fynx schema`` prints."""

    def lines(self) -> Iterator[str]:
        from fynx.config.schema import json_schema
        from fynx.kernel.loader import boot

        schema = json_schema(boot(["default"]))
        yield from self._record("fynx.yaml", schema)
        for name, one in sorted(schema["$defs"].items()):
            if one.get("properties"):
                yield from self._record(name, one)

    def _record(self, name: str, one: Mapping[str, Any]) -> Iterator[str]:
        yield from ("", f"({_anchor(name)})=", f"## {name}", "", _flat(one.get("description", "")), "")
        required = one.get("required", [])
        for key, value in one["properties"].items():
            must = " (required)" if key in required else ""
            default = f", default `{value['default']}`" if value.get("default") not in ("", None) else ""
            yield from (f"`{key}`{must}", f": {_type(value)}{default}. {_flat(value.get('description', ''))}", "")


class Commands(_Written):
    """Each command of the program, as its ``--help`` has it."""

    def lines(self) -> Iterator[str]:
        from fynx.cli.main import COMMANDS, HELP

        for name, place in COMMANDS.items():
            module, _, attribute = place.partition(":")
            command = getattr(importlib.import_module(module), attribute)
            yield from ("", f"## fynx {name}", "", HELP.get(name, ""), "", "```text")
            yield from _help(command, f"fynx {name}")
            yield "```"


def _help(command: click.Command, path: str) -> Iterator[str]:
    with click.Context(command, info_name=path) as context:
        yield from command.get_help(context).splitlines()
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                if found is not None:
                    yield ""
                    yield from _help(found, f"{path} {name}")


def _imports() -> Iterator[tuple[str, str]]:
    for path in (ROOT / "fynx").rglob("*.py"):
        here = path.relative_to(ROOT / "fynx").parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            for module in _modules(node):
                there = module.split(".")[1] if module.count(".") else ""
                if module.startswith("fynx.") and (ROOT / "fynx" / there).is_dir() and not here.startswith("__"):
                    yield here, there


def _modules(node: ast.AST) -> Iterable[str]:
    match node:
        case ast.Import(names=names):
            return [each.name for each in names]
        case ast.ImportFrom(module=str(module), level=0):
            return [module]
    return []


def _read_again(directive: Directive) -> None:
    """With every build: its source is the code, of whose changes Sphinx knows nothing."""
    directive.state.document.settings.env.note_reread()


def _node(text: str) -> str:
    return '"' + text.replace("[*]", "*").replace('"', "'") + '"'


def _anchor(name: str) -> str:
    return "yaml-" + re.sub(r"\W+", "-", name.lower())


def _flat(text: str) -> str:
    return re.sub(r"``([^`]+)``", r"`\1`", " ".join(text.split()))


def _type(value: Mapping[str, Any]) -> str:
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{_anchor(name)})"
    for several in ("anyOf", "oneOf"):
        if several in value:
            return " or ".join(dict.fromkeys(_type(each) for each in value[several]))
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    kind = value.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(_type({**value, "type": each}) for each in kind)
    if kind == "array" and isinstance(value.get("items"), Mapping):
        return f"list of {_type(value['items'])}"
    if kind == "object" and isinstance(value.get("additionalProperties"), Mapping):
        return f"by name: {_type(value['additionalProperties'])}"
    return {"null": "`null`"}.get(str(kind), str(kind))


OUTSIDE: Callable[[str], bool] = re.compile(r"^(\.\./|examples/|.*\.(py|json|yml|h)$)").match  # type: ignore[assignment]


def _leave_the_tree(_app: Sphinx, docname: str, source: list[str]) -> None:
    """Links to files that are no pages are right in a checkout; in the built pages they become text and a path."""
    folder = (ROOT / "docs" / docname).parent

    def plain(found: re.Match[str]) -> str:
        text, target = found.groups()
        path = (folder / target.partition("#")[0]).resolve()
        docs = ROOT / "docs"
        page = path.suffix == ".md" and path.is_relative_to(docs) and not path.is_relative_to(docs / "examples")
        if page or "://" in target or target.startswith("#"):
            return found.group()
        inside = path.is_relative_to(ROOT)
        return f"{text} (`{path.relative_to(ROOT)}`)" if inside else text

    source[0] = re.sub(r"\[([^\]\n]+)\]\(([^)\s]+)\)", plain, source[0])


sys.modules.setdefault("fynx_pages", sys.modules[__name__])
