"""The figure that all pictures are drawn on. Of this package, only this module imports matplotlib's parts."""

import base64
import io
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

__all__ = ["MaxNLocator", "Picture", "Rectangle", "luminance", "new", "see_through"]


class Picture(Figure):
    """A figure that a notebook shows once.

    Where pyplot draws into the notebook itself, a figure of its that is also a cell's last value
    would be shown twice: as the value, and among the figures still open at the end of the cell.
    """

    def _ipython_display_(self) -> None:
        if "inline" not in mpl.get_backend():
            print(self)
            return
        from IPython.display import display

        file = io.BytesIO()
        self.savefig(file, format="png", metadata={"Software": None})
        data = {"image/png": base64.b64encode(file.getvalue()).decode(), "text/plain": repr(self)}
        display(data, raw=True)
        plt.close(self)


def new(width: float, height: float) -> Picture:
    """Return an empty figure of this size in inches."""
    figure = plt.figure(FigureClass=Picture, figsize=(width, height), layout="constrained")
    assert isinstance(figure, Picture)
    return figure


def luminance(colour: tuple[Any, ...]) -> float:
    """Return how bright a colour (red, green, blue, …) is, from 0 to 1 (ITU-R BT.709)."""
    red, green, blue = colour[:3]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def see_through(name: str, low: float) -> ListedColormap:
    """Return the part of a signed colour map from `low`, -1 to 0, to 1, which nothing is seen of at zero."""
    values = np.linspace(low, 1, 512)
    # Not from white, which would be seen as mist: a weak colour is a strong one that is nearly transparent.
    colours = mpl.colormaps[name](0.5 + np.sign(values) * (0.3 + 0.2 * np.abs(values)))
    colours[:, 3] = np.abs(values)
    return ListedColormap(colours)
