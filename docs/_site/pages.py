"""What is changed in pages as they are written: their language, what they load, and their style sheet."""

import base64
import importlib.util
import re
from pathlib import Path

# Style sheets of cells and their outputs, which lessons alone have.
FOR_LESSONS = "mystnb"
LARGE = 10_000  # bytes of a picture
COPYING = re.compile("clipboard|copybutton")  # the buttons that copy code
THEME = "styles/pydata-sphinx-theme.css"
FONTS = re.compile(r"@font-face\{[^}]*/fontawesome/[^}]*\}")  # site.css draws the icons
CLASS = re.compile(r"\.(-?[A-Za-z_][\w-]*)")
WORD = re.compile(r"[A-Za-z_][\w-]*")
# A line's end between two Japanese letters, or behind a Japanese full stop: browsers show it as a space.
LETTER = r"[\u3000-\u30ff\u4e00-\u9fff\uff01-\uff60]"
BROKEN = re.compile(rf"(<pre.*?</pre>)|(?<={LETTER})\n(?={LETTER})|(?<=[、。）：])\n(?=\S)", re.DOTALL)
HELD = re.compile(r"\([^()]*\)")  # what stands in :not(…) and :is(…)


def prepared(app, name, template, context, doctree):
    """Say of the Japanese pages that they are, and leave out what a page does not use."""
    if name.startswith("ja/"):
        context["language"] = "ja"
    if context.get("body"):
        # A corner of a table that is empty heads nothing; pictures further down wait until they are near.
        body = context["body"].replace('<th class="head"><p></p></th>', '<td class="head"></td>')
        context["body"] = joined(body.replace("<img ", '<img loading="lazy" '))
        if 'class="highlight' not in body:
            scripts = context["script_files"]
            context["script_files"] = [s for s in scripts if not COPYING.search(str(s.filename))]
    if "learn/" not in name:
        sheets = context["css_files"]
        context["css_files"] = [sheet for sheet in sheets if FOR_LESSONS not in str(sheet.filename)]


def joined(body):
    """Return a page with lines of Japanese joined without a space."""
    return BROKEN.sub(lambda found: found[1] or "", body)


def rules(css):
    """Yield (what stands in front of the brace, what stands in it or None) for the rules of a style sheet."""
    place = 0
    while place < len(css):
        brace, semicolon = css.find("{", place), css.find(";", place)
        if 0 <= semicolon < brace or brace < 0:
            end = semicolon + 1 if semicolon >= 0 else len(css)
            yield css[place:end], None
            place = end
            continue
        depth, end = 1, brace + 1
        while depth:
            depth += {"{": 1, "}": -1}.get(css[end], 0)
            end += 1
        yield css[place:brace], css[brace + 1 : end - 1]
        place = end


def purged(css, words):
    """Return a style sheet without the rules whose classes no page and no script names."""
    kept = []
    for front, inside in rules(css):
        if inside is None:
            kept.append(front)
        elif front.startswith(("@media", "@supports", "@container")):
            inner = purged(inside, words)
            kept += [f"{front}{{{inner}}}"] if inner else []
        elif front.startswith("@"):
            kept.append(f"{front}{{{inside}}}")
        else:
            parts = re.split(r",(?![^(]*\))", front)
            used = [part for part in parts if words >= {*CLASS.findall(HELD.sub("", part))}]
            kept += [f"{','.join(used)}{{{inside}}}"] if used else []
    return "".join(kept)


def smaller(picture):
    """Bring a PNG file to at most 256 colours, as those of the lessons are."""
    path = Path(__file__).parents[2] / "tools" / "notebooks" / "build.py"
    spec = importlib.util.spec_from_file_location("build_notebooks", path)
    notebooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(notebooks)
    text = notebooks.smaller(base64.b64encode(picture.read_bytes()).decode())
    picture.write_bytes(base64.b64decode(text))


def finished(app, error):
    """Make pictures smaller, and the theme's style sheet that of what this site's pages and scripts name."""
    if error or app.builder.format != "html":
        return
    for picture in (app.outdir / "_images").glob("*.png"):
        if picture.stat().st_size > LARGE:
            smaller(picture)
    words = set()
    for path in [*app.outdir.rglob("*.html"), *app.outdir.rglob("*.js")]:
        if path.name != "searchindex.js":
            words.update(WORD.findall(path.read_text(encoding="utf-8")))
    sheet = app.outdir / "_static" / THEME
    text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
    sheet.write_text(purged(FONTS.sub("", text), words), encoding="utf-8")


def setup(app):
    """Connect it."""
    app.connect("html-page-context", prepared)
    app.connect("build-finished", finished)
