"""The documentation site: ``make docs`` builds it into build/site; a warning is an error.

What the pages are made of beside `docs/` itself, the lessons, the gallery and the reference, is written below
`docs/` first, in folders that Git ignores (`_site/staging.py`, `_site/reference.py`).
"""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(DOCS)]

from _site import charts, formulas, links, names, pages, reference, staging  # noqa: E402

from cconv import __version__  # noqa: E402

project = "cconv"
author = "The cconv authors"
copyright = "the cconv authors, BSD-3-Clause"
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "myst_nb",
    "sphinx_copybutton",
]
exclude_patterns = ["_site", "_static", "_templates", "ja/lessons"]
highlight_language = "default"  # Python, and formulas as they stand
pygments_style = "a11y-high-contrast-light"

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3  # headings are linked as the code host links them
nb_execution_mode = "off"  # the lessons hold the outputs of their last run

autodoc_typehints = "none"  # the docstrings say them, with shapes
autodoc_member_order = "bysource"
autosummary_generate = False
napoleon_numpy_docstring = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
# "(n, output)" is a shape, and `output` also two attributes.
suppress_warnings = ["ref.python"]
napoleon_use_param = False  # types are words of the docstrings, not targets of links
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "pydata_sphinx_theme"
html_math_renderer = "mathml"
html_title = "cconv"
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "images/logo.svg"
html_show_sourcelink = False
html_copy_source = False
html_context = {"default_mode": "auto"}  # light or dark as the reader's system is
html_theme_options = {
    "logo": {
        "text": "cconv",
        "image_light": "images/logo.svg",
        "image_dark": "images/logo.svg",
        "alt_text": "",
    },
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "navbar_persistent": ["search-button"],
    "navigation_with_keys": False,
    "show_nav_level": 1,
    "navigation_depth": 1,
    "collapse_navigation": True,
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
    "back_to_top_button": False,
}
html_sidebars = {"index": [], "start": [], "ja/index": []}


def setup(app):
    """Make the pages that are made, and connect what changes others."""
    staging.write(ROOT, DOCS)
    reference.write(DOCS / "api")
    links.setup(app, ROOT, DOCS)
    formulas.setup(app)
    names.setup(app)
    pages.setup(app)
    charts.setup(app, ROOT)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
