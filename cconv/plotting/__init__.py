"""Pictures of a network, of what it sees, and of what it learns.

They need matplotlib, which is imported when the first one is drawn: ``pip install 'cconv[plot]'``.
Every function returns a figure of matplotlib's pyplot: a notebook shows it, ``matplotlib.pyplot.show()``
opens its window, and ``.savefig("picture.png")`` writes it.

Colours are distinguishable for colour-blind people too. Values of both signs are red above zero, blue below,
and white at zero; other maps go from dark to bright; no information is in colour alone.
"""

from cconv.plotting._layers import feature_maps, filters, padding
from cconv.plotting._pictures import images
from cconv.plotting._relevance import grad_cam, occlusion
from cconv.plotting._results import confusion_matrix, history, predictions

__all__ = [
    "confusion_matrix",
    "feature_maps",
    "filters",
    "grad_cam",
    "history",
    "images",
    "occlusion",
    "padding",
    "predictions",
]
