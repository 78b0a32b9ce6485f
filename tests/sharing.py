"""What is long to make, made once for all workers of pytest-xdist: each may be given tests of one module."""

import fcntl
import os
import shutil


def shared(tmp_path_factory, name, make):
    """Return a folder of this run of pytest that `make(folder)` filled: once, while other workers wait."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"shared-{name}"
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            half = folder.with_name(f"{folder.name}.half")
            shutil.rmtree(half, ignore_errors=True)  # of one that failed
            half.mkdir()
            make(half)
            half.rename(folder)
    return folder
