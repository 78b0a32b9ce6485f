"""How fast cconv is, beside other frameworks and beside the limits of the machine: `python -m benchmarks`.

Nothing here is imported by cconv or run by its tests. The modules of this package import NumPy at
most; the frameworks are imported by workers, in processes of their own.
"""
