"""Ways to damage a file: blind ones for any bytes, and knowing ones that keep checksums and lengths right."""

import copy
import gzip
import io
import json
import re
import struct
import warnings
import zipfile
import zlib

INTERESTING = (
    0,
    1,
    2,
    7,
    8,
    127,
    128,
    255,
    256,
    32767,
    65535,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**53,
    2**63 - 1,
)
VALUES = (
    *(None, True, False, 0, 1, -1, 2, 5, 1.7, -0.5, 1e300, 10**9, 2**31, 2**62, 2**63 - 1, 2**64 - 1),
    *("", "7", "relu", "same", "float64", "Dense", "os.system", "__class__", "a\0b", "\x1b[2J", "é" * 50),
    *([], {}, [1], [0, 0], [3, 3], [[1, 2], [3, 4]], [None], ["x"], [10**9, 10**9], list(range(70))),
    *({"class_name": "Dense", "config": {}}, {"class_name": [], "config": 3}, {"a": {"b": {"c": 1}}}),
    *({"class_name": "zeros", "config": {"value": 1}}, {"class_name": "Adam", "config": {"lr": "x"}}),
)
LITERALS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999999",
    "-1e400",
    "1" * 401,
    "1" * 5000,
    "[" * 5000,
    '"\\ud800"',
)


def blind(rng, data, other):
    """Return the bytes, damaged in one to four ways."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        rng.choice(BLIND)(rng, data, other)
    return bytes(data)


def _place(rng, data):
    # Headers are at the beginning or the end, and most of what can go wrong is in headers.
    edge = rng.choice((0, 0, 1, 2))
    size = len(data)
    if edge == 0:
        return rng.randrange(min(size, 400) + 1)
    return rng.randrange(max(size - 300, 0), size + 1) if edge == 1 else rng.randrange(size + 1)


def _flip(rng, data, other):
    for _ in range(rng.randint(1, 3)):
        if data:
            data[min(_place(rng, data), len(data) - 1)] ^= 1 << rng.randrange(8)


def _set(rng, data, other):
    at = _place(rng, data)
    data[at : at + 1] = bytes([rng.choice((0, 255, 34, 48, 57, 91, 123, rng.randrange(256)))])


def _cut(rng, data, other):
    del data[_place(rng, data) :]


def _extend(rng, data, other):
    data += rng.choice((b"\0", b" ", rng.randbytes(9), bytes(3073), bytes(data[:40])))


def _delete(rng, data, other):
    at = _place(rng, data)
    del data[at : at + rng.choice((1, 2, 4, 8, 40))]


def _repeat(rng, data, other):
    at = _place(rng, data)
    data[at:at] = data[at : at + rng.choice((1, 4, 30, 300))] * rng.choice((1, 1, 20))


def _splice(rng, data, other):
    data[_place(rng, data) :] = other[rng.randrange(len(other) + 1) :]


def _number(rng, data, other):
    """Write a number with a meaning where there may be one."""
    width = rng.choice((1, 2, 4, 8))
    at = _place(rng, data)
    value = rng.choice(INTERESTING) % 256**width
    data[at : at + width] = value.to_bytes(width, rng.choice(("little", "big")))


def _digits(rng, data, other):
    """Put another number where the text of one is."""
    found = [*re.finditer(rb"\d+", bytes(data[:20000]))]
    if found:
        start, stop = rng.choice(found).span()
        data[start:stop] = rng.choice((*map(str, INTERESTING), "-5", "1.7", "1e9", *LITERALS)).encode()


BLIND = (_flip, _flip, _set, _cut, _extend, _delete, _repeat, _splice, _number, _number, _digits)


# --- knowing ----------------------------------------------------------------------------------


def safetensors(rng, data, other):
    """Change the header or the description of a model, both still JSON, without the digest."""
    size = int.from_bytes(data[:8], "little")
    header, tensors = json.loads(data[8 : 8 + size]), data[8 + size :]
    metadata = header["__metadata__"]
    metadata.pop("cconv.sha256", None)
    if rng.random() < 0.8:
        metadata["cconv"] = _changed_json(rng, json.loads(metadata["cconv"]))
        text = json.dumps(header)
    else:
        text = _changed_json(rng, header)
    head = text.encode()
    return len(head).to_bytes(8, "little") + head + tensors


def _changed_json(rng, tree):
    """Return the text of a document in which some values are others."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        holders = [*_holders(tree)]
        if not holders:
            break
        holder, key = rng.choice(holders)
        kind = rng.randrange(10)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            holder[key] = [holder[key], copy.deepcopy(holder[key])]
        elif kind == 2:
            there, place = rng.choice(holders)
            holder[key] = copy.deepcopy(there[place] if isinstance(there, dict) else there)
        elif kind == 3 and isinstance(holder, dict):
            holder[rng.choice(("", "x", "a/b", "\n", str(key) * 2))] = holder.pop(key)
        else:
            holder[key] = copy.deepcopy(rng.choice(VALUES))
    text = json.dumps(tree)
    if rng.random() < 0.15:
        text = re.sub(r"\d+", lambda match: rng.choice(LITERALS), text, count=rng.randint(1, 3))
    if rng.random() < 0.05:
        text = text.replace("{", '{"name":1,', 1)
    return text


def _holders(tree):
    """Yield every (container, key) of a document."""
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in [*entries]:
        yield tree, key
        if isinstance(value, dict | list) and value:
            yield from _holders(value)


def gz(rng, data, other):
    """Change what is packed, and pack it well."""
    return gzip.compress(blind(rng, gzip.decompress(data), gzip.decompress(other)), 1, mtime=0)


def npz(rng, data, other):
    """Change members, names and methods of an archive whose directory and checksums are right."""
    file = io.BytesIO()
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2))
    with (
        warnings.catch_warnings(action="ignore"),  # of a name that comes twice
        zipfile.ZipFile(io.BytesIO(data)) as archive,
        zipfile.ZipFile(file, "w", method) as new,
    ):
        for name in archive.namelist():
            content = archive.read(name)
            if rng.random() < 0.4:
                content = blind(rng, content, content)
            new.writestr(name if rng.random() < 0.95 else "x_train.npy", content)
    whole = file.getvalue()
    return blind(rng, whole, data) if rng.random() < 0.2 else whole


def png(rng, data, other):
    """Change parts of a picture and make their checksums right."""
    parts, at = [], 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        parts.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += size + 12
    first = [*parts]
    kinds = (
        b"IHDR",
        b"PLTE",
        b"IDAT",
        b"tRNS",
        b"iCCP",
        b"zTXt",
        b"iTXt",
        b"acTL",
        b"fcTL",
        b"eXIf",
        b"gAMA",
    )
    for _ in range(rng.choice((1, 1, 2))):
        place = rng.randrange(len(parts))
        kind, content = parts[place]
        choice = rng.randrange(4)
        if choice == 0:
            parts[place] = kind, blind(rng, content, content)
        elif choice == 1:
            made = rng.choice((rng.randbytes(20), b"a\0\0" + zlib.compress(bytes(100_000)), content, b""))
            parts.insert(place + rng.randint(0, 1), (rng.choice(kinds), made))
        elif choice == 2 and kind == b"IDAT" and content == dict(first).get(kind):
            parts[place] = kind, zlib.compress(blind(rng, zlib.decompress(content), content))
        else:
            head = bytearray(parts[0][1])
            _number(rng, head, b"")
            parts[0] = parts[0][0], bytes(head)
    packed = (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )
    return data[:8] + b"".join(packed)
