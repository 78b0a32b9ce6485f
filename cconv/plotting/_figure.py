"""The figure of all pictures. Only this module of the package imports matplotlib."""

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

    With pyplot's inline backend a notebook would show a figure twice if it is the last value of a cell: as
    this value, and as a figure that is still open at the end of the cell.
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
    """Return the brightness of a colour (red, green, blue, …), from 0 to 1 (ITU-R BT.709)."""
    red, green, blue = colour[:3]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def see_through(name: str, low: float) -> ListedColormap:
    """Return the part from `low` (-1 to 0) to 1 of a signed colour map, transparent at zero."""
    values = np.linspace(low, 1, 512)
    # Fading to transparent, not to white: white would cover the image like mist.
    colours = mpl.colormaps[name](0.5 + np.sign(values) * (0.3 + 0.2 * np.abs(values)))
    colours[:, 3] = np.abs(values)
    return ListedColormap(colours)
