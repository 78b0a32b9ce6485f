import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READMES = ["README.md", "README.ja.md"]
TEST = (
    "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && "
    ".venv/bin/python -m pytest -n auto --dist worksteal"
)
TRAIN = "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/python -m cconv train"


def blocks(name, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("name", READMES)
def test_two_commands_each_alone_in_a_block(name):
    assert [block.strip() for block in blocks(name, "sh")] == [TRAIN, TEST]


@pytest.mark.parametrize(("pattern", "command"), [("-m pytest", TEST), ("-m cconv train", TRAIN)])
def test_ci_takes_its_commands_from_the_readme(pattern, command):
    """The very shell expression of .ci/run, run here, finds the command."""
    script = (ROOT / ".ci" / "run").read_text()
    expression = f"$(grep -m 1 -e '{pattern}' README.md)"
    assert expression in script
    done = subprocess.run(
        ["bash", "-c", f'echo "{expression}"'], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == command


def test_ci_runs_every_check():
    script = (ROOT / ".ci" / "run").read_text()
    for tool in (
        '"$bin/ruff" check .',
        '"$bin/ruff" format --check .',
        '"$bin/mypy"',
        '"$bin/cython-lint" cconv',
        "--doctest-modules cconv",
        ".ci/sanitize .venv/bin/python",
        "examples/*.py",
        "set -euo pipefail",
    ):
        assert tool in script
    assert subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=False).returncode == 0
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


@pytest.mark.parametrize("name", READMES)
def test_python_of_the_readme_runs(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first, graph, alone = blocks(name, "python")
    names = {}
    exec(compile(first, name, "exec"), names)
    assert names["accuracy"] > 0.9
    assert (names["classes"] == names["y_test"]).mean() == pytest.approx(names["accuracy"], abs=1e-6)
    capsys.readouterr()
    exec(compile(graph, name, "exec"), names)
    shown = capsys.readouterr().out
    assert "add (Add)" in shown
    assert "Connected to" in shown
    exec(compile(alone, name, "exec"), names)
    assert capsys.readouterr().out == "(5, 5, 1, 30)\n"
    assert names["y"].shape == (8, 24, 24, 30)
    assert names["dx"].shape == (8, 28, 28, 1)


def test_both_languages_have_the_same_code():
    for language in ("sh", "text", "python"):
        assert blocks("README.md", language) == blocks("README.ja.md", language)


@pytest.mark.parametrize("name", [*READMES, "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md"])
def test_links_and_pictures_exist(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith("http"):
            assert (ROOT / name).parent.joinpath(target).is_file(), target


@pytest.mark.parametrize("name", READMES)
def test_it_begins_with_five_lines_and_a_picture(name):
    _, purpose, picture = (ROOT / name).read_text(encoding="utf-8").split("\n\n")[:3]
    assert len(purpose.splitlines()) <= 5
    target = re.fullmatch(r"!\[.{20,}\]\((docs/images/\w+\.png)\)", picture)[1]
    data = (ROOT / target).read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(data) < 300_000
