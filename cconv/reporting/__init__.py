"""A page about a trained model: one HTML file that shows what its network does, and how well.

`report`, which is `cconv.report`, writes it. What is computed for the page is Python, a room for each part of
it; what the page does with that is in `page/`: HTML, CSS and plain JavaScript, put into the file as they are.
"""

from cconv.reporting.writing import report

__all__ = ["report"]
