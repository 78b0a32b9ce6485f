"""What is changed in pages as they are written: their language, what they load, and their style sheet."""

import re

# Style sheets of cells and their outputs, which lessons alone have.
FOR_LESSONS = "mystnb"
THEME = "styles/pydata-sphinx-theme.css"
FONTS = re.compile(r"@font-face\{[^}]*/fontawesome/[^}]*\}")  # site.css draws the icons
CLASS = re.compile(r"\.(-?[A-Za-z_][\w-]*)")
WORD = re.compile(r"[A-Za-z_][\w-]*")
HELD = re.compile(r"\([^()]*\)")  # what stands in :not(…) and :is(…)


def prepared(app, name, template, context, doctree):
    """Say of the Japanese pages that they are, and leave out what a page does not use."""
    if name.startswith("ja/"):
        context["language"] = "ja"
    if context.get("body"):
        # A corner of a table that is empty heads nothing; pictures further down wait until they are near.
        body = context["body"].replace('<th class="head"><p></p></th>', '<td class="head"></td>')
        context["body"] = body.replace("<img ", '<img loading="lazy" ')
    if "learn/" not in name:
        sheets = context["css_files"]
        context["css_files"] = [sheet for sheet in sheets if FOR_LESSONS not in str(sheet.filename)]


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


def finished(app, error):
    """Make the theme's style sheet that of this site: what its pages and scripts name."""
    if error or app.builder.format != "html":
        return
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
