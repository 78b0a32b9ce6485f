"""A page about a trained model: one HTML file about the network's layers and results.

`report`, also `cconv.report`, writes it. The modules here compute the page's data, one module for each part;
the page itself is in `page/`: HTML, CSS and plain JavaScript, which are copied into the file.
"""

from cconv.reporting.writing import report

__all__ = ["report"]
