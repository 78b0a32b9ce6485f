"""Formulas as MathML, which browsers draw by themselves: no script, and nothing from elsewhere."""

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

SUM = "<mo>&#x02211;</mo>"


def inline(writer, node):
    """Write a formula in a line of text."""
    writer.body.append(convert(node.astext(), display="inline"))
    raise SkipNode


def block(writer, node):
    """Write a formula that stands by itself; a wide one scrolls, by the keyboard too."""
    # Fonts without mathematics have no larger sign for a sum that stands by itself.
    formula = convert(node.astext(), display="block").replace(SUM, SUM.replace("<mo>", '<mo class="sum">'))
    opening = '<div class="formula" tabindex="0" role="group" aria-label="Formula">'
    writer.body.append(f"{opening}{formula}</div>\n")
    raise SkipNode


def setup(app):
    """Let Sphinx write formulas so."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
