"""Make the notebooks of examples/learn/ from their sources, and run them.

    python tools/notebooks/build.py [NUMBER …]           run and write the notebooks, all by default
    python tools/notebooks/build.py --check [NUMBER …]   run them, write nothing, fail if one fails

A source is a file of Python in tools/notebooks/lessons/: a line `# %% [markdown]` begins a cell of text,
whose lines are comments, and `# %%` one of code. What is committed are the sources and the notebooks
with their outputs; tests/test_notebooks.py holds them to be the same text. Running them needs nbclient
and ipykernel, which come with the extra `dev`. Lesson 10 needs CIFAR-10: where it is not on the
machine and cannot be downloaded, --check says so and leaves that lesson out.
"""

import argparse
import base64
import io
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = Path(__file__).with_name("lessons")
NOTEBOOKS = ROOT / "examples" / "learn"
MARK = "# %%"
TIMEOUT = 600  # seconds for one cell


def cells(source):
    """Return the (kind, text) of each cell of a source, kind "markdown" or "code"."""
    found = []
    for line in source.splitlines():
        if line.startswith(MARK):
            found.append(("markdown" if "[markdown]" in line else "code", []))
        elif found:
            found[-1][1].append(line)
        elif line.strip():
            raise ValueError(f"the source must begin with {MARK}, got {line!r}")
    texts = []
    for kind, lines in found:
        if kind == "markdown":
            lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
        texts.append((kind, "\n".join(lines).strip("\n")))
    return texts


def notebook(source):
    """Return the notebook of a source, not yet run."""
    import nbformat

    new = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    made = [new[kind](text, id=f"cell-{number}") for number, (kind, text) in enumerate(cells(source), 1)]
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return nbformat.v4.new_notebook(cells=made, metadata=metadata)


def run(book):
    """Run a notebook in a kernel of its own, in the folder where it lies."""
    from nbclient import NotebookClient

    # Without its remark that it talks over local ports.
    quiet = ["--IPKernelApp.log_level=ERROR"]
    language = dict(book.metadata["language_info"])
    place = {"metadata": {"path": NOTEBOOKS}}
    NotebookClient(
        book,
        kernel_name="python3",
        extra_arguments=quiet,
        timeout=TIMEOUT,
        resources=place,
        coalesce_streams=True,
    ).execute()
    book.metadata["language_info"] = language  # nbclient adds the version that ran it
    for cell in book.cells:
        cell.metadata.clear()  # and the time of each cell


def smaller(png):
    """Return a PNG file with at most 256 colours, which is a third of its size, as base64 text."""
    from PIL import Image

    file = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture.quantize(256, kmeans=3, dither=Image.Dither.NONE).save(file, format="png", optimize=True)
    return min(png, base64.b64encode(file.getvalue()).decode(), key=len)


def shrink(book):
    """Make the pictures of a notebook smaller."""
    for cell in book.cells:
        for output in cell.get("outputs", []):
            png = output.get("data", {}).get("image/png")
            if png:
                output["data"]["image/png"] = smaller(png)


def can_run(path):
    """Whether the data of a lesson are here or can be had; says so if not."""
    if "cifar10.load_data" not in path.read_text(encoding="utf-8"):
        return True
    sys.path.insert(0, str(ROOT))
    from cconv.datasets import cifar10

    try:
        cifar10.load_data()
    except FileNotFoundError as error:
        print(f"{path.stem}: left out: {error}")
        return False
    return True


def main():
    """Run and write, or run and compare."""
    import nbformat

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("numbers", nargs="*", metavar="NUMBER", help="such as 01; by default all")
    arguments = parser.parse_args()
    # The kernel is another process: it gets the same sources, and draws into the notebook.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    os.environ.pop("MPLBACKEND", None)
    sources = sorted(SOURCES.glob("[0-9][0-9]_*.py"))
    if arguments.numbers:
        sources = [path for path in sources if path.name[:2] in arguments.numbers]
    if not sources:
        sys.exit(f"no lesson {', '.join(arguments.numbers)}")
    for path in sources:
        if arguments.check and not can_run(path):
            continue
        begin = time.perf_counter()
        book = notebook(path.read_text(encoding="utf-8"))
        run(book)
        target = NOTEBOOKS / f"{path.stem}.ipynb"
        if not arguments.check:
            shrink(book)
            target.write_text(nbformat.writes(book) + "\n", encoding="utf-8")
        print(f"{target.relative_to(ROOT)}: {time.perf_counter() - begin:.1f} s", flush=True)


if __name__ == "__main__":
    main()
