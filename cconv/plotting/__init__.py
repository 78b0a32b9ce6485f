"""Pictures of what a network is, sees and learns.

They need matplotlib, which is imported when the first one is drawn: ``pip install 'cconv[plot]'``.
Every function returns a matplotlib figure of pyplot's: a notebook shows it, ``matplotlib.pyplot.show()``
opens its window, and ``.savefig("picture.png")`` writes it.

Colours are told apart by colour-blind people too. Values of both signs are red above zero and blue below,
with white at zero; other maps go from dark to bright; nothing is told by colour alone.
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
