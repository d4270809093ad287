"""Sphinx: pages in MyST, reference from docstrings, pictures from the code. ``./run docs`` builds them."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "plugins"), str(ROOT / "docs" / "_ext")]

project = "Fynx"
author = "Fynx maintainers"
copyright = "Fynx maintainers"  # noqa: A001  Sphinx's name
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.graphviz", "sphinx.ext.viewcode", "fynx_pages"]
exclude_patterns = ["_build", "examples/**"]
html_theme = "furo"
html_title = "Fynx"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
graphviz_output_format = "svg"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
myst_fence_as_directive = {"mermaid"}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "undoc-members": True, "show-inheritance": True}
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
nitpicky = False
