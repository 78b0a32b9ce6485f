"""The figure of all pictures. Only this module of the package imports matplotlib."""

import base64
import io
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from cconv.plotting._fonts import dress

__all__ = [
    "MaxNLocator",
    "Patch",
    "Picture",
    "PowerNorm",
    "Rectangle",
    "ink_on",
    "new",
    "place",
    "see_through",
    "style",
]

STYLE = "cconv.plotting.cconv"  # the file beside this one
# As in the page of `cconv.report`: from far below zero to far above it, and from nothing to much.
MAPS = {
    "cconv.signed": ["#1f5fa8", "#7fb6dc", "#f5f5f4", "#f0a183", "#b0202c"],
    "cconv.magnitude": ["#f3f5f5", "#b4dcd7", "#4fa9a1", "#0a6b6b", "#02292c"],
}
for name, colours in MAPS.items():
    mpl.colormaps.register(LinearSegmentedColormap.from_list(name, colours), force=True)


class Picture(Figure):
    """A figure that has a font for every letter, is saved without empty borders, and is shown once.

    With pyplot's inline backend a notebook would show a figure twice if it is the last value of a cell: as
    this value, and as a figure that is still open at the end of the cell.
    """

    def draw(self, renderer: Any) -> None:
        """Draw it, with a font for every letter."""
        with dress(self):
            super().draw(renderer)

    def savefig(self, fname: Any, **kwargs: Any) -> None:
        """Save it as `matplotlib.figure.Figure.savefig` does, by default without empty borders."""
        super().savefig(fname, **{"bbox_inches": "tight", "pad_inches": 0.06, **kwargs})

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


def style() -> Any:
    """Return the context in which pictures are made: one style, and names that are not read as formulas."""
    return plt.style.context([STYLE, {"text.parse_math": False}])


def new(width: float, height: float, layout: str | None = "compressed") -> Picture:
    """Return an empty figure of about this size in inches."""
    with mpl.rc_context({"figure.constrained_layout.use": False}):
        figure = plt.figure(FigureClass=Picture, figsize=(width, height), layout=layout)
    assert isinstance(figure, Picture)
    return figure


def place(figure: Figure, left: float, top: float, width: float, height: float) -> Any:
    """Return new axes there, in inches from the figure's upper left corner."""
    whole, high = figure.get_size_inches()
    return figure.add_axes((left / whole, 1 - (top + height) / high, width / whole, height / high))


def ink_on(colour: tuple[Any, ...]) -> str:
    """Return black or white, whichever stands out more from a colour (WCAG 2's contrast)."""
    parts = np.array(colour[:3], np.float64)
    parts = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return "black" if parts @ (0.2126, 0.7152, 0.0722) > 0.179 else "white"


def see_through(name: str, low: float) -> ListedColormap:
    """Return the part from `low` (-1 to 0) to 1 of a signed colour map, transparent at zero."""
    values = np.linspace(low, 1, 512)
    # Fading to transparent, not to white: white would cover the image like mist.
    colours = mpl.colormaps[name](0.5 + np.sign(values) * (0.3 + 0.2 * np.abs(values)))
    colours[:, 3] = np.abs(values)
    return ListedColormap(colours)
