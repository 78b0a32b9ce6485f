"""Pictures of a network, of what it sees, and of what it learns.

They need matplotlib, which is imported when the first one is drawn: ``pip install 'cconv[plot]'``.
Every function returns a figure of matplotlib's pyplot: a notebook shows it, ``matplotlib.pyplot.show()``
opens its window, and ``.savefig("picture.png")`` writes it.

Colours are told apart by colour-blind people too. Values of both signs are red above zero and blue below;
magnitudes go from pale to a dark green; zero is the palest in both, and images are as they are. Nothing is
told by colour alone. Pictures of your own get that style by
``matplotlib.pyplot.style.use("cconv.plotting.cconv")``.

Names of classes may be of any script: a font that has their letters is looked for among those of the machine.
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
