"""How Sphinx makes the site: ``make docs``.

The source folder is that of the repository, so that pages link to each other, to pictures and to
code as they do on a forge. Nothing comes from a network, neither when the site is built nor when it
is read.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

project = "lelkern"
copyright = "the lelkern authors"
author = "The lelkern authors"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_click",
    "index_of_links",
    "links_to_code",
    "mathml",
    "public_names",
    "settings",
    "sources",
]
root_doc = "docs/index"
include_patterns = ["*.md", "csrc/*.md", "docs/**.md"]
# Folders that are not looked into.
exclude_patterns = [".*", "build", "dist", "runs", "tests", "benchmarks", "lelkern", "**.egg-info"]

# Roles in docstrings have to lead somewhere. Types in signatures may be private, or of others.
nitpicky = True
nitpick_ignore_regex = [
    ("py:(class|obj|data|exc)", r"(?!lelkern\.).*"),
    ("py:class", r".*\._.*"),
    ("py:class", r".*\.(Annotated|DataSet|[A-Z])"),  # of unions and registries; type variables
    ("py:.*", r"torch\..*"),
]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # the anchors that forges give to headings

autodoc_default_options = {"exclude-members": "model_config, set_score_request"}  # of others
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_use_ivar = True  # an attribute is documented where its class is
maximum_signature_line_length = 80

html_theme = "furo"
html_title = "lelkern"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_extra_path = ["root"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
