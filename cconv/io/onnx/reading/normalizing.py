"""Normalisations written as several operators: recognised, and replaced by one.

A variance is the mean of the squared centred values; the root is a divisor, or its inverse is a factor.
"""

from cconv.io.onnx.reading.einsum import contraction
from cconv.io.onnx.reading.graphs import Node
from cconv.io.onnx.reading.looking import Look, close

Axes = tuple[int, ...]
LEAST_LENGTH = 1e-7  # a normalising `Dot` divides by at least this: keras.config.epsilon()


def normalised(look: Look, node: Node) -> None:
    """Turn a product or quotient into a normalisation, if it is the last step of one."""
    if len(node.inputs) != 2:
        return
    given = node.inputs[0], node.inputs[1]
    for over, under in [given] if node.op == "Div" else [given, given[::-1]]:
        if _by_root(look, node, over, under) or (node.op == "Div" and _by_length(look, node, over, under)):
            return
    if node.op == "Div":
        _softmax(look, node)


def _by_root(look: Look, node: Node, over: str, under: str) -> bool:
    """Recognise (x - mean) / √(variance + epsilon), x / √(… + epsilon) of the variance or the mean square."""
    found = _deviation(look, under, node.op == "Mul")
    if found is None:
        return False
    spread, axes, epsilon = found
    of = _centred(look, spread)
    if of == (over, axes):
        kind, x = "VarianceOver", over
    elif of is not None and of[1] == axes and _centred(look, over) == of:
        kind, x = "MeanVarianceOver", of[0]
    elif spread == over:
        kind, x = "MeanSquareOver", over
    else:
        return False
    look.become(node, kind, [x], axes=list(axes), epsilon=epsilon)
    return True


def _centred(look: Look, name: str) -> tuple[str, Axes] | None:
    """Return x and the axes, for x - mean(x)."""
    node = look.made(name, "Sub")
    mean = look.reduced(node.inputs[1], "ReduceMean") if node is not None else None
    return mean if node is not None and mean is not None and mean[0] == node.inputs[0] else None


def _deviation(look: Look, name: str, inverse: bool) -> tuple[str, Axes, float] | None:
    """Return y, the axes and epsilon, for √(mean(y²) + epsilon), or for 1 divided by it."""
    if inverse:
        node = look.made(name, "Reciprocal", "Div")
        if node is None or (node.op == "Div" and look.number(node.inputs[0]) != 1.0):
            return None
        name = node.inputs[-1]
    root = look.made(name, "Sqrt", "Pow")
    if root is None or (root.op == "Pow" and look.number(root.inputs[1]) != 0.5):
        return None
    moved = look.with_number(root.inputs[0], "Add")
    mean = look.reduced(moved[0], "ReduceMean") if moved is not None else None
    of = look.squared(mean[0]) if mean is not None else None
    return None if moved is None or mean is None or of is None else (of, mean[1], moved[1])


# --- lengths ----------------------------------------------------------------------------------


def _by_length(look: Look, node: Node, over: str, under: str) -> bool:
    """Recognise x / max(√(sum of x²), epsilon)."""
    spread = look.made(under, "Expand")  # PyTorch first expands the lengths to the shape of x
    cut = _at_least(look, under if spread is None else spread.inputs[0])
    found = _length(look, cut[0]) if cut is not None else None
    if cut is None or found is None or found[0] != over:
        return False
    shape = [] if spread is None else spread.inputs[1:2]
    look.become(node, "LengthOver", [over, *shape], axes=list(found[1]), epsilon=cut[1])
    return True


def _at_least(look: Look, name: str) -> tuple[str, float] | None:
    """Return a value and its lower bound, for a value clipped only from below."""
    node = look.made(name, "Clip")
    if node is None:
        return look.with_number(name, "Max")
    bounds = [*node.inputs[1:], "", ""]
    low = look.number(bounds[0]) if bounds[0] else node("min")
    return None if low is None or bounds[1] or node("max") is not None else (node.inputs[0], float(low))


def _length(look: Look, name: str) -> tuple[str, Axes] | None:
    """Return x and the axes, for √(sum of x²)."""
    whole = look.reduced(name, "ReduceL2")
    root = look.made(name, "Sqrt")
    total = look.reduced(root.inputs[0], "ReduceSum") if root is not None else None
    x = look.squared(total[0]) if total is not None else None
    return (x, total[1]) if x is not None and total is not None else whole


def products(look: Look, node: Node) -> None:
    """Turn an Einsum into one of normalised vectors, if both inputs are normalised along the summed axis."""
    along = contraction(node("equation"))
    if along is None or len(node.inputs) != 2:
        return
    given = [look.made(name, "LengthOver") for name in node.inputs]
    for one, axis in zip(given, along, strict=True):
        if one is None or len(one.inputs) > 1 or one("axes") != [axis]:
            return
        if not close(one("epsilon"), LEAST_LENGTH):
            return
    inputs = [one.inputs[0] for one in given if one is not None]
    look.become(node, "Einsum", inputs, equation=node("equation"), normalize=True)


# --- softmax along several axes ---------------------------------------------------------------


def _softmax(look: Look, node: Node) -> None:
    """Turn the node into the softmax of x, if it is exp(x - max) divided by its sum."""
    powers = look.made(node.inputs[0], "Exp")
    total = look.reduced(node.inputs[1], "ReduceSum")
    of = _below_largest(look, powers.inputs[0]) if powers is not None else None
    if of is not None and total == (node.inputs[0], of[1]):
        look.become(node, "SoftmaxOver", [of[0]], axes=list(of[1]))


def log_softmax(look: Look, node: Node) -> None:
    """Turn a difference into a log softmax, if it is y - log(sum of exp(y)) with y = x - max."""
    of = _below_largest(look, node.inputs[0])
    logarithm = look.made(node.inputs[1], "Log")
    total = look.reduced(logarithm.inputs[0], "ReduceSum") if logarithm is not None else None
    powers = look.made(total[0], "Exp") if total is not None else None
    if of is None or total is None or powers is None:
        return
    if powers.inputs[0] == node.inputs[0] and total[1] == of[1]:
        look.become(node, "SoftmaxOver", [of[0]], axes=list(of[1]), logarithm=True)


def _below_largest(look: Look, name: str) -> tuple[str, Axes] | None:
    """Return x and the axes, for x - max(x)."""
    node = look.made(name, "Sub")
    largest = look.reduced(node.inputs[1], "ReduceMax") if node is not None else None
    return largest if node is not None and largest is not None and largest[0] == node.inputs[0] else None
