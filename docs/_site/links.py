"""Links of Markdown files: as they stand they work on the code host, here they are brought into the site."""

import os
import re
from pathlib import Path

LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
# What stands elsewhere in the repository, and where the site has it.
PLACES = {
    "README.md": "index.md",
    "README.ja.md": "ja/index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "examples/learn/README.md": "learn/index.md",
    "examples/learn/README.ja.md": "ja/learn/index.md",
    "examples/gallery/README.md": "gallery/index.md",
}
FOLDERS = {"docs/": "", "examples/learn/": "learn/", "examples/gallery/": "gallery/"}
STAGED = (".md", ".ipynb", ".png", ".jpg", ".svg")


def place(path):
    """Return where the site has a file of the repository, relative to `docs/`, or None."""
    if path in PLACES:
        return PLACES[path]
    if path.startswith("docs/ja/lessons/"):
        return "ja/learn/" + path.removeprefix("docs/ja/lessons/").replace(".md", ".ipynb")
    for folder, here in FOLDERS.items():
        if path.startswith(folder) and path.endswith(STAGED):
            return here + path.removeprefix(folder)
    return None


def relinked(text, source, target, root):
    """Return Markdown with its links as they are in the site.

    Parameters
    ----------
    text : str
    source : str
        Where the text stands in the repository, such as ``"examples/learn/README.md"``.
    target : str
        Where the site has it, relative to `docs/`.
    root : Path
        The repository.
    """
    address = os.environ.get("CCONV_REPOSITORY", "").rstrip("/")

    def one(found):
        picture, words, link = found.groups()
        path, _, anchor = link.partition("#")
        if not path or "://" in path or path.startswith("mailto:"):
            return found[0]
        file = os.path.normpath(os.path.join(os.path.dirname(source), path))
        here = place(file)
        if here is not None:
            new = os.path.relpath(here, os.path.dirname(target) or ".")
            return f"{picture}[{words}]({new}{'#' if anchor else ''}{anchor})"
        if not (root / file).exists():
            return found[0]  # which is a warning, and so an error
        # The repository has it and the site has not: a link where the repository has an address.
        return f"[{words}]({address}/blob/main/{file})" if address else words

    return LINK.sub(one, text)


def setup(app, root, docs):
    """Bring the links of the pages in `docs/` into the site as they are read."""

    def read(app, name, source):
        path = Path(app.env.doc2path(name))
        text = source[0]
        inside = path.relative_to(docs).as_posix()
        if path.suffix == ".md" and not text.startswith("<!-- staged -->"):
            source[0] = relinked(text, f"docs/{inside}", inside, root)

    app.connect("source-read", read)
