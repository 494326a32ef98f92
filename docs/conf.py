"""How Sphinx builds the site: `make docs`. Nothing is fetched, neither by the build nor by the pages."""

from __future__ import annotations

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.writers.html5 import HTML5Translator

import hushtally
from hushtally.version import VERSION

project = "hushtally"
release = version = VERSION
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click"]
exclude_patterns = ["_build", "README.md"]

html_theme = "furo"
html_title = f"hushtally {release}"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_show_copyright = False
html_copy_source = False
html_math_renderer = "mathml"

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

default_role = "literal"  # `name` in a docstring
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80

nitpicky = True
nitpick_ignore = [("py:class", "hushtally.client_sdk.client.Options")]  # the arguments of Client
# the standard library's pages are on another site
nitpick_ignore_regex = [
    ("py:.*", r"(collections|datetime|decimal|os|typing|types|pathlib|enum|fractions)\..*"),
    ("py:.*", r"(Callable|Iterable|Mapping|Sequence|Any|Self|Unpack|SupportsFloat|PathLike|datetime|date|Path)"),
]


def public_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.Element
) -> nodes.reference | None:
    """A class is documented where apps import it from; a signature names the module that defines it."""
    name = node.get("reftarget", "").rpartition(".")[2]
    if node.get("refdomain") != "py" or name not in hushtally.__all__:
        return None
    return env.domains["py"].resolve_xref(  # type: ignore[return-value]
        env, node["refdoc"], app.builder, "class", f"hushtally.{name}", node, contnode
    )


def inline_math(self: HTML5Translator, node: nodes.math) -> None:
    """MathML, which browsers show without a script."""
    self.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def block_math(self: HTML5Translator, node: nodes.math_block) -> None:
    """See inline_math."""
    self.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def _read_sections(app, what, name, obj, options, lines):
    """Read "Args:" and "Returns:" of a docstring; napoleon as an extension would also misread properties."""
    if what != "property" and any(line.strip() in ("Args:", "Returns:", "Raises:") for line in lines):
        lines[:] = GoogleDocstring(lines, Config(napoleon_use_rtype=False), what="function").lines()


def setup(app: Sphinx) -> None:
    """Registers what is above."""
    app.connect("autodoc-process-docstring", _read_sections)
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
    app.connect("missing-reference", public_name)
