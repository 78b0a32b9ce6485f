"""The table of docs/reliability.md names tests that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_fault_has_its_test():
    lines = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8").splitlines()
    begin = lines.index("| Fault | What happens | Test | Cases |")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[begin + 2 :] if line]
    assert len(rows) >= 30
    for fault, what, tests, cases in rows:
        assert fault
        assert what
        assert cases
        named = re.findall(r"`(?:tests/)?(\w+\.py)::(\w+)`", tests)
        assert named, tests
        for file, function in named:
            assert f"\ndef {function}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), tests
