"""What is changed in pages as they are written: their language, and what readers of screens need."""


def language(app, name, template, context, doctree):
    """Say of the Japanese pages that they are."""
    if name.startswith("ja/"):
        context["language"] = "ja"


def setup(app):
    """Connect it."""
    app.connect("html-page-context", language)
