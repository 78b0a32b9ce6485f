"""The machine's limits, measured in turns like a framework."""

from benchmarks.machine import Limits

_limits: Limits


def prepare(setting, threads, dtype):
    global _limits
    _limits = Limits(threads, dtype)
    return {}


def network(task):
    return {"fma": _limits.fma, "triad": _limits.triad, "handoff": _limits.handoff}


conv = rows = network


def work():
    """Return what one step does: flops, bytes."""
    return {"fma": _limits.flops, "triad": _limits.nbytes}
