"""Arrays of images as files: tar shards, Parquet, folders; PNG, from which the same bytes come back."""

import io
import json
import tarfile

import numpy as np
from PIL import Image

from cconv.utils import FolderImages, ParquetImages, TarImages


def png(pixels):
    """An image (h, w, c) of 1, 3 or 4 channels as a PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, "png", compress_level=1)
    return file.getvalue()


def write_tar(path, files, **options):
    """A tar file of (name, bytes)."""
    with tarfile.open(path, "w", **options) as tar:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def samples(x, y, kind="cls"):
    """The files of samples as WebDataset has them, with some that are none."""
    for number, (pixels, label) in enumerate(zip(x, y, strict=True)):
        files = [
            ("png", png(pixels)),
            ("cls", b"%d\n" % label),
            ("json", json.dumps({"at": int(label)}).encode()),
        ]
        wanted = [file for file in files if file[0] in ("png", kind.partition(".")[0])]
        for ending, data in wanted if number % 2 else wanted[::-1]:
            yield f"./part.s/{number:03}.{ending}", data
        if number % 3 == 0:
            yield f"./part.s/{number:03}.txt", b"of no use"
            yield ".hidden.png", b"of no use"


def cut(sizes, n):
    """Where parts of `n` end that have these sizes, over and over."""
    ends, number = [], 0
    while not ends or ends[-1] < n:
        ends.append(min((ends[-1] if ends else 0) + sizes[number % len(sizes)], n))
        number += 1
    return list(zip([0, *ends[:-1]], ends, strict=True))


def tars(folder, x, y, sizes, label="cls", **options):
    """TarImages of shards of these sizes."""
    paths = []
    for number, (start, stop) in enumerate(cut(sizes, len(x))):
        paths.append(write_tar(folder / f"{number}.tar", samples(x[start:stop], y[start:stop], label)))
    return TarImages(paths, label=label, **options)


def parquets(folder, x, y, sizes, nested=False, files=1, **options):
    """ParquetImages of row groups of these sizes, in so many files."""
    import pyarrow
    import pyarrow.parquet

    encoded = [png(pixels) for pixels in x]
    image = [{"bytes": data, "path": "?"} for data in encoded] if nested else encoded
    paths = []
    for number, (start, stop) in enumerate(cut([-(-len(x) // files)], len(x))):
        table = pyarrow.table(
            {"other": [1.5] * (stop - start), "image": image[start:stop], "label": y[start:stop]}
        )
        paths.append(folder / f"{number}.parquet")
        with pyarrow.parquet.ParquetWriter(paths[-1], table.schema) as writer:
            for begin, end in cut(sizes, stop - start):
                writer.write_table(table.slice(begin, end - begin))
    return ParquetImages(paths, **options)


def folders(folder, x, y, **options):
    """FolderImages, whose samples are sorted by their labels."""
    for number, (pixels, label) in enumerate(zip(x, y, strict=True)):
        place = folder / f"class {label}" / "more"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:04}.png").write_bytes(png(pixels))
    return FolderImages(folder, **options)


def sorted_rows(x, y):
    """The samples as `folders` has them."""
    order = np.argsort(y, kind="stable")
    return x[order], y[order]
