"""The sum that the equation of an Einsum describes."""

from typing import Any


def contraction(equation: Any) -> tuple[int, int] | None:
    """Return the axes of two values over which products are summed, sample by sample, as in `Dot`.

    None for any other sum. Required: the first axis of both is the samples, exactly one more axis is in both,
    and the result has all other axes, those of the first value in front.

    Examples
    --------
    >>> contraction("nak,nkb->nab")
    (2, 1)
    >>> contraction("nhqd,nhkd->nhqk") is None
    True
    """
    if not isinstance(equation, str):
        return None
    given, arrow, result = equation.replace(" ", "").partition("->")
    terms = given.split(",")
    letters = "".join(terms) + result
    if not arrow or len(terms) != 2 or not letters.isalpha() or any(len(set(t)) < len(t) for t in terms):
        return None
    first, second = terms
    shared = [letter for letter in first if letter in second]
    if len(shared) != 2 or not first[0] == second[0] == shared[0]:
        return None
    samples, summed = shared
    kept = "".join(letter for letter in first[1:] + second[1:] if letter != summed)
    if result != samples + kept:
        return None
    return first.index(summed), second.index(summed)
