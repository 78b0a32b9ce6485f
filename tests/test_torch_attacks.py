"""Files of torch that lie: pickles that want to run code, claims beyond the file, damage of every kind."""

import io
import os
import pickle
import random
import re
import struct
import time
import zipfile
import zlib
from pathlib import Path

import mutations
import numpy as np
import pytest

from cconv.io.torch import load_state_dict
from cconv.io.torch.pickles import MOST_STEPS
from cconv.layers import Dense
from cconv.models import Sequential

DATA = Path(__file__).parent / "data"
MAGIC = (
    pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
)
SECONDS = 3  # of the processor, on a machine that has other work: a file may take one


def model():
    return Sequential([Dense(2, input_shape=(2,), name="a")])


def zipped(pickled, storages=None, **more):
    """A file of torch with this pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", more.pop("how", zipfile.ZIP_STORED)) as archive:
        archive.writestr("x/data.pkl", pickled)
        for key, data in (storages or {"0": bytes(16)}).items():
            archive.writestr(f"x/data/{key}", data)
        for name, data in more.items():
            archive.writestr(f"x/{name}", data)
    return file.getvalue()


def named(name):
    return b"c" + name.rpartition(".")[0].encode() + b"\n" + name.rpartition(".")[2].encode() + b"\n"


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def whole(number):
    return pickle.dumps(number, 2)[2:-1]


def tensor(size=(2, 2), stride=(2, 1), offset=0, count=4, kind="torch.FloatStorage", key="0", storage=None):
    """The opcodes of a tensor, of whatever is said of it."""
    if storage is None:
        storage = b"(" + text("storage") + named(kind) + text(key) + text("cpu") + whole(count) + b"tQ"
    numbers = whole(offset) + whole(size) + whole(stride)
    return named("torch._utils._rebuild_tensor_v2") + b"(" + storage + numbers + b"\x89" + b"}" + b"tR"


def state(value, name="a.weight"):
    return b"\x80\x02}" + text(name) + value + b"s."


class Evil:
    """Leaves a trace where it is run."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def traces(folder):
    path = folder / "trace"
    code = f"open({str(path)!r}, 'w')"
    return [
        Evil(os.system, f"touch {path}"),
        Evil(eval, code),
        Evil(exec, code),
        Evil(getattr, Evil(__import__, "os"), "system"),
        Evil(__import__, "os"),
        Evil(map, eval, [code]),
        [Evil(dict, Evil(eval, code))],
        {"a.weight": np.ones((2, 2))},
        np.ones(2),
        np.dtype("f4"),
        Evil(open, str(path), "w"),
        Evil(bytearray, 10**12),
        Evil(range, 10**12),
        Path("x"),
        complex(1, 2),
        ValueError("x"),
    ]


def refused(path, data):
    """The one error of a file; it comes soon, and names the file."""
    path.write_bytes(data)
    began = time.process_time()
    with pytest.raises(ValueError, match=re.escape(str(path))) as raised:
        load_state_dict(model(), path)
    assert time.process_time() - began < SECONDS
    assert len(str(raised.value)) < 2000
    return str(raised.value)


@pytest.mark.parametrize("protocol", range(6))
def test_no_code_is_run(protocol, tmp_path):
    for evil in traces(tmp_path):
        pickled = pickle.dumps({"a.weight": evil}, protocol)
        for data in (zipped(pickled), MAGIC + pickled + pickle.dumps([], 2)):
            refused(tmp_path / "a.pth", data)
    assert [each.name for each in tmp_path.iterdir()] == ["a.pth"]


CALLS = {
    "os.system": named("os.system") + b"(" + text("true") + b"tR",
    "posix.system": named("posix.system") + b"(" + text("true") + b"tR",
    "builtins.eval": named("builtins.eval") + b"(" + text("1") + b"tR",
    "a name with dots": b"\x80\x04" + text("torch") + text("_utils._rebuild_tensor_v2") + b"\x93)R",
    "a name of the stack": text("os") + text("system") + b"\x93(" + text("true") + b"tR",
    "a name that is no text": b"K\x01K\x02\x93)R",
    "INST": b"(" + text("true") + b"ios\nsystem\n",
    "OBJ": b"(" + named("collections.OrderedDict") + b"o",
    "NEWOBJ_EX": named("collections.OrderedDict") + b")}\x92",
    "an extension": b"\x82\x01",
    "a buffer": b"\x97",
    "a bytearray of a terabyte": b"\x96" + struct.pack("<Q", 1 << 40),
    "an OrderedDict of something": named("collections.OrderedDict") + b"(]" + text("ab") + b"atR",
    "a storage that is called": named("torch.FloatStorage") + b")R",
    "a call of a call": named("torch._utils._rebuild_tensor_v2") + b")RR",
    "a call of text": text("os.system") + b")R",
    "a call with a list": named("collections.OrderedDict") + b"]R",
    "a call with too much": named("torch._utils._rebuild_parameter") + b"(NNNNNNNNtR",
    "attributes of a tensor": tensor() + b"}b",
    "attributes of a list": b"]}b",
    "a parameter of text": named("torch._utils._rebuild_parameter") + b"(" + text("x") + b"\x88NtR",
}
STORAGES = {
    "a module": b"(" + text("module") + named("torch.FloatStorage") + text("0") + text("cpu") + b"K\x04tQ",
    "no tuple": text("0") + b"Q",
    "no kind": b"(" + text("storage") + text("f4") + text("0") + text("cpu") + b"K\x04tQ",
    "a dtype as its kind": b"("
    + text("storage")
    + named("torch.float32")
    + text("0")
    + text("cpu")
    + b"K\x04tQ",
    "a key that is no text": b"("
    + text("storage")
    + named("torch.FloatStorage")
    + b"K\x00"
    + text("cpu")
    + b"K\x04tQ",
    "nothing": b"N",
    "a list": b"]",
}
CLAIMS = {
    "a gigabyte": tensor((1 << 28,), (1,), count=1 << 28),
    "2**62 elements": tensor((1 << 62,), (1,), count=1 << 62),
    "2**80 elements": tensor((2, 2), (2, 1), count=1 << 80),
    "elements below 0": tensor(count=-4),
    "fewer than are there": tensor((1,), (1,), count=1),
    "a size below 0": tensor((-2, 2)),
    "a size of True": tensor((True, 2)),
    "a size of text": tensor(("2", 2)),
    "sizes in text": tensor("22"),
    "a product that overflows": tensor((1 << 40, 1 << 40, 0, 1 << 40), (0, 0, 0, 0)),
    "a product that overflows, spread": tensor((1 << 40, 1 << 40), (0, 0)),
    "strides beyond": tensor((2, 2), (4, 1)),
    "strides far beyond": tensor((2, 2), (1 << 61, 1)),
    "strides below 0": tensor((2, 2), (-2, 1)),
    "fewer strides": tensor((2, 2), (2,)),
    "an offset beyond": tensor(offset=1),
    "an offset below 0": tensor(offset=-1),
    "an offset of 2**70": tensor(offset=1 << 70),
    "a thousand axes": tensor((1,) * 1000, (1,) * 1000),
    "a storage that is missing": tensor(key="1"),
    "a storage elsewhere": tensor(key="../../data.pkl"),
    "no shape that fits": tensor((4,), (1,)),
    "a quantised storage": tensor(kind="torch.QInt8Storage"),
    "integers for floats": tensor(kind="torch.IntStorage"),
    "complex numbers": tensor((1, 2), (2, 1), count=2, kind="torch.ComplexFloatStorage"),
}
OPCODES = {
    "nothing": b"",
    "the end alone": b".",
    "no end": b"\x80\x02}",
    "a mark alone": b"(.",
    "nothing to take": b"0.",
    "below the mark": b"]((a.",
    "what was not kept": b"h\x07.",
    "a memo of 2**32 - 1": b"]r\xff\xff\xff\xff.",
    "a text of 4 gigabytes": b"X\xff\xff\xff\xff.",
    "a text of 2**63 bytes": b"\x8d" + bytes([255] * 7) + b"\x7f.",
    "a text below 0": b"T\xff\xff\xff\xff.",
    "a number of 2 gigabytes": b"\x8b\xff\xff\xff\x7f.",
    "a number below 0 bytes": b"\x8b\xff\xff\xff\xff.",
    "a number of 255 bytes": b"\x8a\xff" + bytes(255) + b".",
    "a number of many digits": b"L" + b"9" * 4000 + b"L\n.",
    "a line without an end": b"I" + b"1" * 10_000,
    "a float that is none": b"Fabc\n.",
    "a list as a key": b"}]Ns.",
    "a deep tuple as a key": b"}N" + b"\x85" * 100_000 + b"Ns.",
    "a tensor as a key": b"}" + tensor() + b"Ns.",
    "a key without a value": b"}(Nu.",
    "an append to a dict": b"}Na.",
    "a hundred thousand lists": b"]" * 100_000 + b"a" * 99_999 + b".",
    "a hundred thousand tuples": b"N" + b"\x85" * 100_000 + b".",
    "a hundred thousand marks": b"(" * 100_000 + b".",
    "a list in itself": b"]q\x00h\x00a.",
    "a dict in itself": b"}q\x00" + text("state_dict") + b"h\x00s.",
    "too many opcodes": b"N0" * (MOST_STEPS // 2 + 1) + b".",
    "a pile that doubles": b"]q\x00" + b"(h\x00h\x00e" * 10_000 + b".",
    "numbers alone": pickle.dumps({"a.weight": 1}, 2),
    "a list of numbers": pickle.dumps([1, 2], 2),
}


@pytest.mark.parametrize("value", [*CALLS.values(), *CLAIMS.values()], ids=[*CALLS, *CLAIMS])
def test_a_tensor_that_is_none(value, tmp_path):
    refused(tmp_path / "a.pth", zipped(state(value)))


@pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES)
def test_a_storage_that_is_none(storage, tmp_path):
    refused(tmp_path / "a.pth", zipped(state(tensor(storage=storage))))
    refused(tmp_path / "a.pth", MAGIC + state(tensor(storage=storage)) + pickle.dumps(["0"], 2))


@pytest.mark.parametrize("pickled", OPCODES.values(), ids=OPCODES)
def test_opcodes_that_make_nothing(pickled, tmp_path):
    refused(tmp_path / "a.pth", zipped(pickled))
    refused(tmp_path / "a.pth", MAGIC + pickled)


GOOD = state(tensor())
LEGACY = {
    "no storages": pickle.dumps([], 2),
    "storages twice": pickle.dumps(["0", "0"], 2) + (b"\x04" + bytes(7) + bytes(16)) * 2,
    "another number": pickle.dumps(["0"], 2) + b"\x05" + bytes(7) + bytes(20),
    "a storage cut off": pickle.dumps(["0"], 2) + b"\x04" + bytes(7) + bytes(15),
    "no number": pickle.dumps(["0"], 2) + b"\x04",
    "keys that are none": pickle.dumps([0], 2),
    "no list": pickle.dumps("0", 2),
}


@pytest.mark.parametrize("rest", LEGACY.values(), ids=LEGACY)
def test_pickles_in_a_row_that_lie(rest, tmp_path):
    refused(tmp_path / "a.pth", MAGIC + GOOD + rest)


def directory(data, count=None, length=None, start=None):
    """The archive with another end: what is said of its directory."""
    place = data.rfind(b"PK\x05\x06")
    old = struct.unpack_from("<HII", data, place + 10)
    new = [
        given if given is not None else was for given, was in zip((count, length, start), old, strict=True)
    ]
    return data[: place + 10] + struct.pack("<HII", *new) + data[place + 20 :]


WHOLE = zipped(GOOD)
MEMBER = WHOLE.rfind(b"PK\x01\x02")  # that of data/0 in the directory
ARCHIVES = {
    "cut off": WHOLE[:-30],
    "cut off early": WHOLE[:40],
    "no directory": WHOLE[: WHOLE.find(b"PK\x01\x02")],
    "more members": directory(WHOLE, count=60_000),
    "a zip64 that is none": directory(WHOLE, count=0xFFFF),
    "a long directory": directory(WHOLE, length=0xFFFFFFF0),
    "a directory elsewhere": directory(WHOLE, start=0xFFFFFFF0),
    "a directory at 0": directory(WHOLE, start=0),
    "a member of 4 gigabytes": WHOLE[: MEMBER + 20] + b"\xf0\xff\xff\xff" * 2 + WHOLE[MEMBER + 28 :],
    "a member elsewhere": WHOLE[: MEMBER + 42] + b"\x01\0\0\0" + WHOLE[MEMBER + 46 :],
    "a member far away": WHOLE[: MEMBER + 42] + b"\xf0\xff\xff\xff" + WHOLE[MEMBER + 46 :],
    "packed members": zipped(GOOD, how=zipfile.ZIP_DEFLATED),
    "another checksum": WHOLE[: MEMBER + 16] + struct.pack("<I", zlib.crc32(b"x")) + WHOLE[MEMBER + 20 :],
    "a program": zipped(GOOD, **{"constants.pkl": b"\x80\x02)."}),
    "two pickles": zipped(GOOD, **{"y/data.pkl": b"N."}),
    "another byte order": zipped(GOOD, byteorder=b"middle"),
    "no archive": b"PK\x03\x04" + bytes(100),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "a plain pickle": pickle.dumps({"a": 1}),
    "a tar": b"storages" + bytes(1000),
    "nothing": b"",
    "one byte": b"\x80",
}


@pytest.mark.parametrize("data", ARCHIVES.values(), ids=ARCHIVES)
def test_archives_that_lie(data, tmp_path):
    refused(tmp_path / "a.pth", data)


def test_the_parts_are_whole_without_the_lies(tmp_path):
    """What the lies are made of is read."""
    one = Sequential([Dense(2, use_bias=False, input_shape=(2,), name="a")])
    storage = struct.pack("<4f", 1, 2, 3, 4)
    (tmp_path / "a.pth").write_bytes(zipped(GOOD, {"0": storage}))
    load_state_dict(one, tmp_path / "a.pth")
    assert one.get_weights()[0].tolist() == [[1, 3], [2, 4]]
    (tmp_path / "a.pth").write_bytes(zipped(GOOD, {"0": struct.pack(">4f", 5, 2, 3, 4)}, byteorder=b"big"))
    load_state_dict(one, tmp_path / "a.pth")
    assert one.get_weights()[0].tolist() == [[5, 3], [2, 4]]
    count = b"\x04" + bytes(7)
    (tmp_path / "a.pth").write_bytes(MAGIC + GOOD + pickle.dumps(["0"], 2) + count + storage)
    load_state_dict(one, tmp_path / "a.pth")
    assert one.get_weights()[0].tolist() == [[1, 3], [2, 4]]
    spread = state(tensor((2, 2), (0, 0), count=1))
    (tmp_path / "a.pth").write_bytes(zipped(spread, {"0": struct.pack("<f", 7)}))
    load_state_dict(one, tmp_path / "a.pth")
    assert one.get_weights()[0].tolist() == [[7, 7], [7, 7]]


FILES = ("torch_small.pth", "torch_legacy.pth", "torch_small.safetensors", "torch_bf16.safetensors")


def pickle_changed(rng, data):
    """A file of torch whose pickle is damaged, in an archive that is whole."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = next(name for name in members if name.endswith("data.pkl"))
    members[name] = mutations.blind(rng, members[name], members[name])
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for each, content in members.items():
            archive.writestr(each, content)
    return file.getvalue()


def test_six_hundred_damaged_files(tmp_path, monkeypatch):
    """Each is refused by name, or read: what was damaged were numbers, or what nobody looks at."""
    from test_torch_files import small

    here, path = small(), tmp_path / "a.pth"
    monkeypatch.chdir(tmp_path)
    refusals, read = 0, 0
    for number in range(600):
        rng = random.Random(number)
        data = (DATA / FILES[number % len(FILES)]).read_bytes()
        if number % 8 == 0:
            path.write_bytes(pickle_changed(rng, data))
        else:
            path.write_bytes(mutations.blind(rng, data, data))
        before = [array.copy() for array in here.weights]
        began = time.process_time()
        refusal = ""
        try:
            load_state_dict(here, path)
            read += 1
        except ValueError as error:
            refusal = str(error)
        if refusal:
            refusals += 1
            assert str(path) in refusal
            assert all(
                np.array_equal(a, b, equal_nan=True) for a, b in zip(before, here.weights, strict=True)
            )
        assert time.process_time() - began < SECONDS
    assert refusals > 300
    assert read > 20
    assert [each.name for each in tmp_path.iterdir()] == ["a.pth"]
