"""Ten thousand damaged files of every format; ``python tests/fuzz_files.py`` runs a million."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cconv

FUZZ = Path(__file__).with_name("fuzz_files.py")
HERE = os.environ | {"PYTHONPATH": str(Path(cconv.__file__).parents[1])}


def test_ten_thousand_damaged_files():
    """Each is read or refused by name, in a process of its own, within a gigabyte and ten seconds."""
    done = subprocess.run(
        [sys.executable, str(FUZZ), "--cases", "10000"],
        env=HERE,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "10000 damaged files: each read, or refused by name" in done.stdout
    refused = sum(map(int, re.findall(r"(\d+) refused", done.stdout)))
    assert 3000 < refused < 9900


def test_the_fuzzer_finds_what_is_wrong(tmp_path):
    """With a reader that lets one error through it fails: it can."""
    code = (
        f"import sys; sys.path.insert(0, {str(FUZZ.parent)!r}); import fuzz_files, pathlib\n"
        "from cconv.datasets import cifar10\n"
        "def broken(path): raise IndexError(path)\n"
        "cifar10.read_records = broken\n"
        "wrong, _ = fuzz_files.work(0, range(200), pathlib.Path(sys.argv[1]))\n"
        "print(wrong)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=HERE,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert int(done.stdout.split()[-1]) > 5
