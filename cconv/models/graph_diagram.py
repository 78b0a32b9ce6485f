"""A drawing of a graph of layers: from top to bottom, branches side by side.

A layer is one row below the lowest of its sources. A new column begins where only one line leads on. The
lines of branches and skip connections have their own lanes, and where those of two boxes would lie on one
another on their way to different ones, a track beside it.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from cconv.models.diagram import (
    ARROW,
    GUTTER,
    MANY,
    MARGIN,
    OTHER,
    ROWS,
    Box,
    Drawing,
    box_height,
    box_of,
    box_width,
    draw_arrow,
    draw_box,
    draw_line,
    follows,
    joined,
    page,
    times,
)

GAP = 46  # between rows: room for the lines of branches above and below the shapes
LANE = 26  # width of a lane that holds lines alone
SPACE = 22  # between lanes
TURN = 10  # from a box to where a line turns
TRACK = 6  # between lines of different boxes that turn in one gap
BESIDE, FARTHEST = 12, 28  # between such lines in one lane, and of the last from its middle
OUT = 38  # length of an output's arrow: its shape stands below the lines of other boxes


class Node:
    """A box, and the boxes of its inputs."""

    def __init__(self, box: Box, inputs: list["Node"], rank: int) -> None:
        self.box, self.inputs, self.rank = box, inputs, rank
        self.lane, self.is_end = 0, False  # is_end: no box reads it

    @property
    def is_joint(self) -> bool:
        """Whether it stands for the last box of the previous column, and is not drawn itself."""
        return not self.box.title

    def height(self, names: bool) -> float:
        """Return how high its box is."""
        return 0.0 if self.is_joint else box_height(self.box, names)

    def width(self, names: bool) -> float:
        """Return the width that its box needs."""
        return LANE if self.is_joint else box_width(self.box, names)


class Line(NamedTuple):
    """A connection, and the lane of its vertical part."""

    source: Node
    target: Node
    lane: int


def nodes_of(model: Any, compact: bool) -> list[Node]:
    """Return a model's boxes, in order; with `compact` layers of FOLLOWING join the box in front."""
    made: list[Node] = []
    values: list[Node] = []
    by_item: dict[int, Node] = {}
    for shape, name in zip(model._input_shapes, model._ins.names, strict=True):
        values.append(Node(Box("Input", name, "", 0, OTHER, times(shape)), [], 0))
        made.append(values[-1])
    readers = [0] * len(values)
    for entry in model._entries:
        readers += [0] * entry.n_outputs
        for value in entry.inputs:
            readers[value] += 1
    for value in model._outputs:
        readers[value] += 1
    for entry in model._entries:
        before = [values[value] for value in entry.inputs]
        node = by_item.get(id(entry.item))
        if node is not None:  # used again
            node.inputs += before
        elif compact and _follows(entry, before, readers):
            node = before[0]
            node.box = joined(node.box, box_of(entry.item))
        else:
            node = Node(box_of(entry.item), before, 1 + max(other.rank for other in before))
            made.append(node)
        by_item[id(entry.item)] = node
        values += [node] * entry.n_outputs
    return made


def _follows(entry: Any, before: Sequence[Node], readers: Sequence[int]) -> bool:
    (value, *more) = entry.inputs
    alone = not more and readers[value] == 1 and bool(before[0].inputs)
    return alone and follows(entry.item, before[0].box)


class Layout:
    """The places of boxes and lines of one column: the part of a graph between two waists.

    Parameters
    ----------
    nodes : sequence of Node
        In order, with consecutive ranks.
    names : bool
        Whether boxes show the layers' names.
    """

    def __init__(self, nodes: Sequence[Node], names: bool) -> None:
        self.nodes, self._names = nodes, names
        self._taken: list[list[tuple[int, int]]] = []
        inside = set(map(id, nodes))
        self.lines: list[Line] = []
        for node in nodes:
            sources = [source for source in node.inputs if id(source) in inside]
            sources.sort(key=lambda source: (-source.rank, source.lane))  # the nearest's lane goes on
            self._place(node, sources)
            if sources:
                self.lines.append(Line(sources[0], node, node.lane))
            for source in sources[1:]:
                self.lines.append(Line(source, node, self._lane_of_line(source, node)))
        self._tracks: dict[int, int] = {}
        self._measure(GAP)
        self._tracks = self._find_tracks()
        self._last = max(self._tracks.values(), default=0)
        self._measure(GAP + 2 * TRACK * self._last)

    def _place(self, node: Node, sources: Sequence[Node]) -> None:
        first = sources[0] if sources else None
        above = node.rank - 1 if first is None else first.rank
        wish = 0 if first is None else first.lane
        lanes = [wish, *(lane for lane in range(len(self._taken) + 1) if lane != wish)]
        below = node.rank + node.is_end  # room for the arrow of an output
        node.lane = next(lane for lane in lanes if self._is_free(lane, above, below))
        self._take(node.lane, above, below)

    def _lane_of_line(self, source: Node, node: Node) -> int:
        if node.rank - source.rank == 1:
            return node.lane
        lanes = [lane for lane in range(len(self._taken) + 1) if lane != node.lane]
        lane = next(lane for lane in lanes if self._is_free(lane, source.rank, node.rank - 1))
        self._take(lane, source.rank, node.rank - 1)
        return lane

    def _is_free(self, lane: int, above: int, below: int) -> bool:
        taken = self._taken[lane] if lane < len(self._taken) else []
        return all(below <= begin or end <= above for begin, end in taken)

    def _take(self, lane: int, above: int, below: int) -> None:
        while lane >= len(self._taken):
            self._taken.append([])
        self._taken[lane].append((above, below))

    def _find_tracks(self) -> dict[int, int]:
        """Return the tracks of boxes whose lines would else be read as leading where others' lines do."""
        apart: list[set[int]] = []
        tracks: dict[int, int] = {}
        for lines in self._meeting():
            sources = {id(line.source) for line in lines}
            targets = {id(line.target) for line in lines}
            if len({(id(line.source), id(line.target)) for line in lines}) < len(sources) * len(targets):
                apart.append(sources)
        for source in dict.fromkeys(id(line.source) for line in self.lines):
            others = set[int]().union(*(sources for sources in apart if source in sources))
            taken = {tracks[other] for other in others if other in tracks}
            tracks[source] = next(track for track in range(len(taken) + 1) if track not in taken)
        return tracks

    def _meeting(self) -> Iterator[list[Line]]:
        """Yield the lines that lie on one another or touch, group by group."""
        paths = [(line, self._points(line, 0, 0)) for line in self.lines]
        corners: dict[float, set[float]] = {}
        for _, points in paths:
            for x, y in points[1:-1]:
                corners.setdefault(x, set()).add(y)
        pieces: dict[tuple[bool, float], list[tuple[float, float, Line]]] = {}
        for line, points in paths:
            for (x0, y0), (x1, y1) in pairwise(points):
                low, high = sorted((y0, y1) if x0 == x1 else (x0, x1))
                pieces.setdefault((x0 == x1, x0 if x0 == x1 else y0), []).append((low, high, line))
                # Where another line's corner lies on this one, it could turn; where they cross, it could not.
                for y in corners.get(x0, ()) if x0 == x1 else ():
                    if low < y < high:
                        pieces.setdefault((False, y), []).append((x0, x0, line))
        for along in pieces.values():
            group: list[Line] = []
            reach = -math.inf
            for low, high, line in sorted(along, key=lambda piece: piece[:2]):
                if low > reach:
                    yield group
                    group = []
                group.append(line)
                reach = max(reach, high)
            yield group

    def _turn(self, source: Node) -> float:
        """Return where lines turn below the highest box of a row: higher up they would lead through it."""
        return self._bottoms[source.rank - self._first] + TURN + TRACK * self._tracks.get(id(source), 0)

    def _measure(self, gap: float) -> None:
        first = self.nodes[0].rank
        count = self.nodes[-1].rank - first + 1
        heights, widths = [0.0] * count, [float(LANE)] * len(self._taken)
        for node in self.nodes:
            heights[node.rank - first] = max(heights[node.rank - first], node.height(self._names))
            widths[node.lane] = max(widths[node.lane], node.width(self._names))
        self._widths = widths
        self._lefts = [sum(widths[:lane]) + SPACE * lane for lane in range(len(widths))]
        self._tops = [sum(heights[:row]) + gap * row for row in range(count)]
        self._gap = gap
        self._bottoms = [top + height for top, height in zip(self._tops, heights, strict=True)]
        self._first = first
        self.width: float = self._lefts[-1] + widths[-1]
        self.height: float = self._tops[-1] + heights[-1]

    def middle(self, lane: int) -> float:
        """Return the horizontal centre of a lane."""
        return self._lefts[lane] + self._widths[lane] / 2

    def top(self, node: Node) -> float:
        """Return the upper edge of a box."""
        return self._tops[node.rank - self._first]

    def bottom(self, node: Node) -> float:
        """Return the lower edge of a box."""
        return self.top(node) + node.height(self._names)

    def draw(self, x: float, y: float, shapes: bool) -> Iterator[str]:
        """Yield the SVG elements of the drawing with its upper left corner at (x, y)."""
        labels = self._labels() if shapes else {}
        # The rightmost of a box' arrows comes first, and has the label at its right.
        for line in sorted(self.lines, key=lambda line: self._tracks.get(id(line.source), 0)):
            label = ", ".join(labels.pop(id(line.target), ()))
            yield from draw_arrow(self._points(line, x, y), label, self._gap)
        for node in self.nodes:
            left = x + self._lefts[node.lane]
            width = self._widths[node.lane]
            if not node.is_joint:
                yield from draw_box(node.box, left, y + self.top(node), width, self._names)
            if node.is_end and shapes:
                middle, bottom = x + self.middle(node.lane), y + self.bottom(node)
                yield from draw_arrow([(middle, bottom), (middle, bottom + OUT)], node.box.shape)

    def _labels(self) -> dict[int, list[str]]:
        """Return what stands at the arrow of each box: a shape once, at the first line of its source."""
        told: set[int] = set()
        labels: dict[int, list[str]] = {}
        for line in self.lines:
            there = labels.setdefault(id(line.target), [])
            if id(line.source) not in told and line.source.box.shape not in there:
                there.append(line.source.box.shape)
            told.add(id(line.source))
        return labels

    def _points(self, line: Line, x: float, y: float) -> list[tuple[float, float]]:
        source, target = line.source, line.target
        track = self._tracks.get(id(source), 0)
        if track:
            x -= track * min(BESIDE, FARTHEST / self._last)
        begin = (x + self.middle(source.lane), y + self.bottom(source))
        end = (x + self.middle(target.lane), y + self.top(target) - 2)
        down = x + self.middle(line.lane)
        points = [begin]
        if down != begin[0]:
            turn = y + self._turn(source)
            points += [(begin[0], turn), (down, turn)]
        if down != end[0]:
            turn = end[1] - TURN - TRACK * track
            points += [(down, turn), (end[0], turn)]
        return [*points, end]


def parts_of(nodes: Sequence[Node]) -> list[list[Node]]:
    """Cut a graph at waists into columns of similar numbers of rows."""
    ranks = max(node.rank for node in nodes) + 1
    wanted = max(1, math.ceil(ranks / math.ceil(ranks / (1.6 * ROWS))))
    waists = _waists(nodes, ranks)
    ends: list[int] = []
    begin = 0
    for end in [*waists, ranks]:
        if end - begin > wanted and ends and ends[-1] > begin:
            begin = ends[-1]
        if ends and ends[-1] > begin:
            ends.pop()
        ends.append(end)
    bounds = [0]
    for number, end in enumerate(ends):
        # A short rest stays in the previous column.
        behind = ends[number + 1] if number + 1 < len(ends) else ranks
        if number + 1 == len(ends) or (behind - bounds[-1] > 1.4 * wanted and ranks - end > 0.3 * wanted):
            bounds.append(end)
    return [_part(nodes, low, high) for low, high in pairwise(bounds)]


def _part(nodes: Sequence[Node], low: int, high: int) -> list[Node]:
    """Return the boxes of the ranks from low to high - 1, with a joint for the previous column in front."""
    part = [node for node in nodes if low <= node.rank < high]
    if not low:
        return part
    (before,) = (node for node in nodes if node.rank == low - 1)
    joint = Node(Box("", "", "", 0, before.box.colour, before.box.shape), [], low - 1)
    for node in part:
        node.inputs = [joint if source is before else source for source in node.inputs]
    return [joint, *part]


def _waists(nodes: Sequence[Node], ranks: int) -> list[int]:
    """Return the waists: ranks below a single box that alone is connected to everything below."""
    above: list[set[int]] = [set() for _ in range(ranks + 1)]
    for node in nodes:
        for source in node.inputs:
            for rank in range(source.rank + 1, node.rank + 1):
                above[rank].add(id(source))
    rows: list[list[Node]] = [[] for _ in range(ranks)]
    for node in nodes:
        rows[node.rank].append(node)
    alone = [{id(node) for node in row} if len(row) == 1 else set() for row in rows]
    return [rank for rank in range(1, ranks) if above[rank] == alone[rank - 1]]


def svg(model: Any, *, show_shapes: bool = True, show_layer_names: bool = True) -> Drawing:
    """Return the drawing of a built model.

    Parameters
    ----------
    model : Model
    show_shapes : bool
        Write the shape of one sample beside the lines.
    show_layer_names : bool
        Write the layers' names beside their classes; only if each box is one layer.

    Returns
    -------
    Drawing
        A string: the SVG file.

    Examples
    --------
    >>> from cconv.layers import Add, Dense, Input
    >>> from cconv.models import Model
    >>> x = Input((3,))
    >>> drawing = svg(Model(x, Add()([x, Dense(3)(x)])))
    >>> drawing[:4], drawing.count("<polyline")
    ('<svg', 4)
    """
    compact = len(model._entries) > MANY
    names = show_layer_names and not compact
    nodes = sorted(nodes_of(model, compact), key=lambda node: node.rank)
    read = {id(source) for node in nodes for source in node.inputs}
    for node in nodes:
        node.is_end = id(node) not in read
    layouts = [Layout(part, names) for part in parts_of(nodes)]
    elements: list[str] = []
    x, tallest = float(MARGIN), 0.0
    below: tuple[float, float] | None = None
    last = None
    for layout in layouts:
        first, y = layout.nodes[0], float(MARGIN)
        middle = x + layout.middle(first.lane)
        if below is not None and last is not None:
            lane, turn = x - GUTTER / 2, below[1] + ARROW / 2
            elements.append(draw_line([below, (below[0], turn), (lane, turn), (lane, y), (middle, y)]))
            tallest = max(tallest, turn)
        elements += layout.draw(x, y, show_shapes)
        last = layout.nodes[-1]
        below = (x + layout.middle(last.lane), y + layout.bottom(last))
        ends = [y + layout.bottom(node) + OUT for node in layout.nodes if node.is_end and show_shapes]
        tallest = max(tallest, y + layout.height, *ends)
        x += layout.width + GUTTER
    return Drawing(page(x - GUTTER + MARGIN, tallest + MARGIN, elements))
