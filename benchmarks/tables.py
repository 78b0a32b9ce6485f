"""What the chapters of docs/benchmarks.md share: tables, figures, and how it was measured."""

from typing import Any

from benchmarks.peers import FRAMEWORKS, PEERS
from benchmarks.results import BUSY, disturbed

# What results that say nothing of it were not measured with.
STOPPED = (
    "Whoever was not in turn was stopped: onnxruntime's threads, for one, go on waiting for work for 30 ms "
    "after they have answered, and where a kernel ends when its last thread does, as in cconv and PyTorch, "
    "all wait for the one that has no core."
)


def table(head: list[str], rows: list[list[str]], texts: int = 1) -> list[str]:
    """Return the lines of a Markdown table whose first columns are text."""
    rule = ["---"] * texts + ["---:"] * (len(head) - texts)
    return [f"| {' | '.join(cells)} |" for cells in [head, rule, *rows]] + [""]


def milliseconds(seconds: float) -> str:
    """Return three digits."""
    value = seconds * 1e3
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _dates(results: dict[str, Any]) -> str:
    """Return when the rows were measured: one day, or the first and the last."""
    days = sorted({row.get("date", results["date"]) for row in results["rows"]}) or [results["date"]]
    return days[0] if len(days) == 1 else f"from {days[0]} to {days[-1]}"


def preface(results: dict[str, Any]) -> list[str]:
    """Say when, on what, and with what this was measured, and whether it can be trusted."""
    machine, versions = results["machine"], results["versions"]
    used = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [
        f"Measured {_dates(results)} on {machine['cores']} cores of {machine['cpu']}, {machine['system']}, "
        f"Python {machine['python']}" + (f"; {used}." if used else "."),
        "",
    ]
    if not results.get("awake", True):
        lines += [STOPPED, ""]
    limits = [row["limits"] for row in results["rows"] if "limits" in row]
    troubled = sum(map(disturbed, limits))
    if troubled:
        lines += [
            f"**Disturbed**: in {troubled} of {len(limits)} measurements the FMA peak itself was more than "
            f"{BUSY:.0%} under its best in a quarter of the turns or more. Read ratios, not times.",
            "",
        ]
    if results["quick"]:
        lines += ["**Quick run**: few and short turns.", ""]
    lines += [f"- Missing: {name} ({reason})" for name, reason in results["missing"].items()]
    lines += [f"- Failed: {failure}" for failure in results["failures"]]
    return [*lines, ""]


def limits_of(rows: list[dict[str, Any]]) -> str:
    """Return the machine's limits over all these rows."""
    fma = sorted(row["limits"]["fma"]["median"] / 1e9 for row in rows)
    triad = sorted(row["limits"]["triad"]["median"] / 1e9 for row in rows)
    return (
        f"FMA peak {fma[0]:.0f} to {fma[-1]:.0f} GFLOP/s, "
        f"triad {triad[0]:.1f} to {triad[-1]:.1f} GB/s over the measurements."
    )


def absent(rows: list[dict[str, Any]]) -> list[str]:
    """Say which frameworks were not measured in any of these rows."""
    wanted = [name for name in FRAMEWORKS if rows[0]["dtype"] in PEERS[name].dtypes]
    if all(row["mode"] == "train" for row in rows):
        wanted = [name for name in wanted if PEERS[name].training]
    absent = [PEERS[name].title for name in wanted if not any(name in row["peers"] for row in rows)]
    return [f"Not measured here: {'; '.join(absent)}.", ""] if absent else []


def settings(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Return dtypes and numbers of threads, float32 and the most threads first."""
    return sorted({(row["dtype"], row["threads"]) for row in rows}, key=lambda s: (s[0], -s[1]))
