"""What the benchmarks share at their ends: arguments, and the JSON that they leave."""

import argparse
import datetime
import json
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.pool import Pool

FOLDER = Path(__file__).with_name("results")
BUSY = 0.05  # of its best, that the machine's peak may fall short of it undisturbed


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with the arguments that all benchmarks have."""
    made = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    made.add_argument("--quick", action="store_true", help="few and short turns; no file unless --out")
    made.add_argument("--out", type=Path, help=f"write the results here; default results/{name}.json")
    made.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="PEER=PYTHON",
        help="interpreter that has this peer (torch, keras, keras-jax, onnxruntime, openvino; peers for all)",
    )
    return made


def pythons(given: argparse.Namespace, arguments: argparse.ArgumentParser) -> dict[str, str]:
    """Return the interpreters of --python by peer."""
    for entry in given.python:
        if "=" not in entry:
            arguments.error(f"--python: expected PEER=PYTHON, got {entry!r}")
    return dict(entry.split("=", 1) for entry in given.python)


def text_of(data: dict[str, Any]) -> str:
    """Return results as JSON; rows that hold many steps are a line each."""
    rows = data["rows"]
    if not any("steps" in row for row in rows):
        return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    head = json.dumps(data | {"rows": []}, indent=1, ensure_ascii=False)
    lines = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    return head.replace('"rows": []', f'"rows": [\n{lines}\n ]') + "\n"


class Results:
    """What a benchmark found so far; written after every task, so that a broken run leaves something."""

    def __init__(self, name: str, given: argparse.Namespace, pool: Pool) -> None:
        self.path = given.out or (None if given.quick else FOLDER / f"{name}.json")
        self.pool = pool
        self.data: dict[str, Any] = {
            "benchmark": name,
            "date": datetime.date.today().isoformat(),
            "quick": given.quick,
            "awake": pool.awake,
            "machine": machine.facts(),
            "rows": [],
        }

    def add(self, **row: Any) -> None:
        """Keep one row of figures."""
        self.data["rows"].append({"date": datetime.date.today().isoformat()} | row)

    def write(self) -> None:
        """Write what there is."""
        self.data["versions"] = dict(sorted(self.pool.versions.items()))
        self.data["missing"] = self.pool.missing
        self.data["failures"] = self.pool.failures
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(text_of(self.data))

    def finish(self) -> None:
        """Write, and say where and what is missing."""
        self.write()
        for name, reason in self.pool.missing.items():
            print(f"missing: {name} ({reason})")
        if self.path is not None:
            print(f"wrote {self.path}")


def limits_line(limits: dict[str, dict[str, float]]) -> str:
    """Return the machine's limits, with a warning where they varied."""
    fma, triad = limits["fma"], limits["triad"]
    line = (
        f"FMA peak {fma['median'] / 1e9:.0f} GFLOP/s"
        f" (quartiles {fma['low'] / 1e9:.0f} to {fma['high'] / 1e9:.0f}, best {fma['best'] / 1e9:.0f}),"
        f" triad {triad['median'] / 1e9:.1f} GB/s"
        f" ({triad['low'] / 1e9:.1f} to {triad['high'] / 1e9:.1f})"
    )
    return line + (": DISTURBED, somebody else was busy" if disturbed(limits) else "")


def disturbed(limits: dict[str, dict[str, float]]) -> bool:
    """Whether a quarter of the turns or more fell short of the best FMA peak: somebody else was busy."""
    fma = limits["fma"]
    return fma["low"] < (1 - BUSY) * fma["best"]
