"""Pages that stand elsewhere in the repository, written below `docs/` for the site: the lessons and more."""

import json
import re
import shutil
from pathlib import Path

from _site.links import relinked

STAGED = "<!-- staged -->\n"
MADE = ("api", "learn", "gallery", "ja/learn")
# What follows a text of one line in an index: the pages below it.
TOCTREE = "\n\n```{{toctree}}\n:hidden:\n\n{pages}\n```\n"
CUT = "+++\n"


def write_if_new(path, text):
    """Write a text, unless the file has it: what did not change is not built again."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def page(root, docs, source, target, more=""):
    """Write a Markdown file of the repository as a page of the site."""
    text = relinked((root / source).read_text(encoding="utf-8"), source, target, root)
    write_if_new(docs / target, STAGED + text + more)


def described(book):
    """Give pictures a text for those who do not see them: the title in their code, or the heading above."""
    heading = ""
    for cell in book["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            heading = (re.findall(r"^#+ (.+)$", source, re.MULTILINE) or [heading])[-1]
            continue
        titles = re.findall(r"title=\"([^\"]+)\"", source)
        alt = f"Picture: {titles[-1] if titles else heading}"
        cell.setdefault("metadata", {})["mystnb"] = {"image": {"alt": re.sub(r"[$`\\]", "", alt)}}
    return book


def translated(book, text):
    """Return a lesson whose cells of text are another language's, in the same order."""
    texts = text.split(CUT)
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "markdown"]
    if len(texts) != len(cells):
        raise ValueError(f"expected {len(cells)} texts between lines of +++, got {len(texts)}")
    for cell, words in zip(cells, texts, strict=True):
        cell["source"] = words.strip("\n")
    return book


def lesson(root, docs, path):
    """Write a lesson with its outputs, and in the language into which its text is translated."""
    source = path.read_text(encoding="utf-8")
    place = path.relative_to(root).as_posix()
    here = relinked(source, place, f"learn/{path.name}", root)
    write_if_new(docs / "learn" / path.name, json.dumps(described(json.loads(here)), indent=1))
    words = docs / "ja" / "lessons" / f"{path.stem}.md"
    if words.is_file():
        target = f"ja/learn/{path.name}"
        text = relinked(words.read_text(encoding="utf-8"), words.relative_to(root).as_posix(), target, root)
        book = translated(described(json.loads(source)), text)
        write_if_new(docs / target, json.dumps(book, indent=1))


def lessons(root, docs):
    """Write the lessons and their indexes."""
    folder = root / "examples" / "learn"
    for path in sorted(folder.glob("*.ipynb")):
        lesson(root, docs, path)
    names = {
        "": [path.stem for path in sorted(folder.glob("*.ipynb"))],
        "ja/": [path.stem for path in sorted((docs / "ja" / "lessons").glob("*.md"))],
    }
    for language, readme in (("", "README.md"), ("ja/", "README.ja.md")):
        source, target = f"examples/learn/{readme}", f"{language}learn/index.md"
        text = relinked((root / source).read_text(encoding="utf-8"), source, target, root)
        for name in names["ja/"] if language else ():
            text = text.replace(f"(../../learn/{name}.ipynb)", f"({name}.ipynb)")
        # The Japanese lessons stand in the list of docs/ja/index.md.
        pages = "" if language else TOCTREE.format(pages="\n".join(names[""]))
        write_if_new(docs / target, STAGED + text + pages)


def gallery(root, docs):
    """Write the gallery with its pictures and the code of each."""
    folder = root / "examples" / "gallery"
    for path in [*folder.glob("*.png"), *folder.glob("*.jpg")]:
        (docs / "gallery").mkdir(exist_ok=True)
        shutil.copyfile(path, docs / "gallery" / path.name)
    page(root, docs, "examples/gallery/README.md", "gallery/index.md")


def write(root, docs):
    """Write everything that stands elsewhere."""
    lessons(root, docs)
    gallery(root, docs)
    page(root, docs, "CHANGELOG.md", "changelog.md")
    page(root, docs, "CONTRIBUTING.md", "contributing.md")


def clean(docs):
    """Remove what was written."""
    for name in MADE:
        shutil.rmtree(docs / name, ignore_errors=True)
    for name in ("changelog.md", "contributing.md"):
        Path(docs / name).unlink(missing_ok=True)
