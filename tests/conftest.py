"""Threads of the kernels sleep while they wait, in the tests and in what these start.

Two workers of pytest-xdist with two threads each (and up to eight, where a test asks for them) are more
threads than processors: one that spins takes the time of the one it waits for, and scikit-learn's checks
need twenty times the processor. Results do not depend on it; the examples and lessons run without it.
It is set here because OpenMP reads it when the kernels are loaded, which test modules do.
"""

import os
import signal

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# What was started in the background of a shell does not hear Ctrl-C, which tests of it send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Modules whose tests take up to some minutes each come first, the longest before the others, so that no
# worker is left alone with one of them: what one compiler does takes one processor.
LONG = ["test_portability", "test_packaging", "test_instruction_sets", "test_guard_pages", "test_control"]
PLACES = {name: place for place, name in enumerate(LONG)}


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: PLACES.get(item.path.stem, len(LONG)))
