"""Say whether a folder has all files of a release: python tools/wheels/check.py FOLDER.

One wheel for each Python and system of [tool.cibuildwheel] in pyproject.toml, and the sources.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Of a wheel for Linux, in bytes. Those for other systems have other compilers' code in them.
LARGEST = 4_000_000
# How cibuildwheel and wheels call the systems.
SYSTEMS = {
    "linux": ["manylinux_2_28_{}", "musllinux_1_2_{}"],
    "macos": ["macosx_*_{}"],
    "windows": ["win_{}"],
}


def expected(version):
    """Return the pattern of each file's name."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["cibuildwheel"]
    found = [f"cconv-{version}.tar.gz"]
    for build in settings["build"]:
        tag = build.removesuffix("-*")
        for system, names in SYSTEMS.items():
            for arch in settings[system]["archs"]:
                places = [name.format(arch.lower()) for name in names]
                found += [f"cconv-{version}-{tag.removesuffix('t')}-{tag}-*{place}*.whl" for place in places]
    return found


def faults(folder):
    """Return what is wrong with the files in a folder, in sentences."""
    version = re.search(r'"(.+)"', (ROOT / "cconv/_version.py").read_text().split("__version__")[1])[1]
    files, wrong = set(folder.iterdir()), []
    for pattern in expected(version):
        matching = sorted(folder.glob(pattern))
        if len(matching) != 1:
            wrong.append(f"expected one file {pattern}, found {len(matching)}")
        files -= {*matching}
    wrong += [f"{path.name} is of no release" for path in sorted(files)]
    for path in sorted(folder.glob("*linux*.whl")):
        size = path.stat().st_size
        if size > LARGEST:
            wrong.append(f"{path.name} has {size:,} bytes, more than {LARGEST:,}")
    return wrong


if __name__ == "__main__":
    place = Path(sys.argv[1])
    for path in sorted(place.iterdir()):
        print(f"{path.stat().st_size:>10,} {path.name}")
    sys.exit("\n".join(faults(place)))
