"""The safetensors format as plain Python reads and writes it, with the format's own package as the judge."""

import json
import random

import mutations
import numpy as np
import pytest
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, load_file, save, save_file

from cconv.files import safetensors

RNG = np.random.default_rng(0)
DTYPES = [*map(np.dtype, ("?", "u1", "i1", "u2", "i2", "f2", "u4", "i4", "f4", "u8", "i8", "f8"))]


def random_arrays(rng, count):
    """Arrays of any dtype, shape and layout, some empty, some of no axes."""
    arrays = {}
    for number in range(count):
        shape = tuple(int(n) for n in rng.integers(0, 5, rng.integers(0, 5)))
        array = rng.integers(0, 100, shape).astype(rng.choice(DTYPES))
        arrays[rng.choice(["a", "weights/é", "name with \n", "層"]) + str(number)] = array.T
    return arrays


@pytest.mark.parametrize("seed", range(20))
def test_the_package_reads_what_we_write(seed, tmp_path):
    arrays = random_arrays(np.random.default_rng(seed), 7)
    document = {"text": "é\n\0 層", "numbers": [1, -2.5, 1e300, None, True]}
    safetensors.write(tmp_path / "a", arrays, document)
    found = load_file(tmp_path / "a")
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert np.array_equal(found[name], array)
    with safe_open(tmp_path / "a", framework="numpy") as file:
        assert json.loads(file.metadata()["cconv"]) == document


@pytest.mark.parametrize("seed", range(20))
def test_we_read_what_the_package_writes(seed, tmp_path):
    arrays = {n: np.ascontiguousarray(a) for n, a in random_arrays(np.random.default_rng(seed), 7).items()}
    save_file(arrays, tmp_path / "a", metadata={"cconv": "[1]", "other": "x"})
    found, document = safetensors.read(tmp_path / "a")
    assert document == [1]
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)
        assert found[name].ctypes.data % 64 == 0 or not array.size


def test_arrays_of_another_byte_order_are_written_right(tmp_path):
    for dtype in (">f4", ">i8", "<u2", ">f8"):
        array = np.arange(12).reshape(3, 4).astype(dtype)
        safetensors.write(tmp_path / "a", {"a": array, "b": array[::2, ::-1]}, None)
        found = load_file(tmp_path / "a")
        assert np.array_equal(found["a"], array)
        assert np.array_equal(found["b"], array[::2, ::-1])


def test_what_the_package_refuses_is_refused(tmp_path):
    """2,000 damaged files without a digest: no file is read that is none, and what is read is the same."""
    whole = save({"a": np.arange(6.0), "b": np.ones((2, 3), np.float32)}, metadata={"cconv": "[null]"})
    path, read, refused = tmp_path / "a", 0, []
    for number in range(2000):
        rng = random.Random(number)
        data = (mutations.safetensors if number % 2 else mutations.blind)(rng, whole, whole)
        path.write_bytes(data)
        try:
            arrays, _ = safetensors.read(path)
        except ValueError as error:
            refused.append(str(error))
            continue
        read += 1
        judged = load(data)  # an error here is a failure: we were too kind
        assert set(judged) == set(arrays)
        assert all(np.array_equal(judged[name], arrays[name], equal_nan=True) for name in arrays)
    assert read > 50
    assert len(refused) > 500
    assert all(str(path) in message for message in refused)


def file_of(header, tensors=b"", length=None):
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(head) if length is None else length).to_bytes(8, "little") + head + tensors


def entry(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)} | more


OURS = {"__metadata__": {"cconv": "null"}}
EIGHT, SIXTEEN = bytes(8), bytes(16)
LIES = {
    "empty": b"",
    "seven bytes": bytes(7),
    "a header of nothing": file_of(b""),
    "a length beyond the file": file_of(OURS, length=10**6),
    "a length of 2**63": file_of(OURS, length=2**63),
    "a length of 2**64 - 1": file_of(OURS, length=2**64 - 1),
    "a length that is short": file_of(OURS, length=10),
    "no JSON": file_of(b"{hello}"),
    "no object": file_of(b"[1, 2]"),
    "not UTF-8": file_of(b'{"\xff\xfe": 1}'),
    "a byte order mark": file_of(b"\xef\xbb\xbf{}"),
    "spaces in front": file_of(b"  {}"),
    "a key that comes twice": file_of(
        b'{"a":' + json.dumps(entry()).encode() + b',"a":' + json.dumps(entry()).encode() + b"}", EIGHT
    ),
    "nested deep": file_of(b'{"a":' * 100 + b"1" + b"}" * 100),
    "nested very deep": file_of(b'{"a":' + b"[" * 200_000),
    "half a surrogate pair": file_of(b'{"\\ud800":' + json.dumps(entry()).encode() + b"}", EIGHT),
    "NaN": file_of(b'{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 8]}}', EIGHT),
    "1e999999": file_of(b'{"a": {"dtype": "F32", "shape": [1e999999], "data_offsets": [0, 8]}}', EIGHT),
    "ten thousand digits": file_of(
        b'{"a": {"dtype": "F32", "shape": [' + b"9" * 10_000 + b'], "data_offsets": [0, 8]}}', EIGHT
    ),
    "metadata of numbers": file_of({"__metadata__": {"cconv": 1}}),
    "metadata of a list": file_of({"__metadata__": ["cconv"]}),
    "a digest of another length": file_of({"__metadata__": {"cconv": "null", "cconv.sha256": "00"}}),
    "an unknown dtype": file_of(OURS | {"a": entry("F33")}, EIGHT),
    "a dtype of another type": file_of(OURS | {"a": entry(["F32"])}, EIGHT),
    "bfloat16": file_of(OURS | {"a": entry("BF16", (4,))}, EIGHT),
    "a size of floats": file_of(OURS | {"a": entry(shape=(2.0,))}, EIGHT),
    "a size of True": file_of(OURS | {"a": entry("F64", (True,))}, EIGHT),
    "a size below 0": file_of(OURS | {"a": entry(shape=(-2,))}, EIGHT),
    "a size below 0, twice": file_of(OURS | {"a": entry(shape=(-1, -2))}, EIGHT),
    "sizes whose product overflows": file_of(
        OURS | {"a": entry(shape=(2**62, 4, 0, 2**62), offsets=(0, 8))}, EIGHT
    ),
    "a shape of a number": file_of(OURS | {"a": entry() | {"shape": 2}}, EIGHT),
    "too many axes": file_of(OURS | {"a": entry(shape=(1,) * 99 + (2,))}, EIGHT),
    "a thousand axes": file_of(OURS | {"a": entry(shape=(2**62,) * 1000)}, EIGHT),
    "offsets in reverse": file_of(OURS | {"a": entry(offsets=(8, 0))}, EIGHT),
    "three offsets": file_of(OURS | {"a": entry(offsets=(0, 8, 8))}, EIGHT),
    "offsets of another size": file_of(OURS | {"a": entry(offsets=(0, 4))}, bytes(4)),
    "offsets beyond the file": file_of(OURS | {"a": entry(offsets=(8, 16))}, EIGHT),
    "an array beyond the file": file_of(OURS | {"a": entry(shape=(2**40,), offsets=(0, 2**42))}, EIGHT),
    "arrays that overlap": file_of(OURS | {"a": entry(), "b": entry()}, EIGHT),
    "arrays that overlap by half": file_of(OURS | {"a": entry(), "b": entry(offsets=(4, 12))}, bytes(12)),
    "a gap": file_of(OURS | {"a": entry(), "b": entry(offsets=(12, 20))}, bytes(20)),
    "bytes that belong to none": file_of(OURS | {"a": entry()}, SIXTEEN),
    "a key that is unknown": file_of(OURS | {"a": entry(strides=[4])}, EIGHT),
    "an entry that is none": file_of(OURS | {"a": None}),
}


@pytest.mark.parametrize("name", LIES)
def test_lies_of_a_header(name, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(LIES[name])
    with pytest.raises(ValueError, match="not a whole safetensors file") as caught:
        safetensors.read(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_arrays_in_any_order_of_the_header_are_read(tmp_path):
    header = OURS | {"b": entry(offsets=(8, 16)), "empty": entry(shape=(0,), offsets=(8, 8)), "a": entry()}
    (tmp_path / "a").write_bytes(file_of(header, np.arange(4, dtype=np.float32).tobytes()))
    arrays, _ = safetensors.read(tmp_path / "a")
    assert [arrays[name].tolist() for name in ("a", "b", "empty")] == [[0, 1], [2, 3], []]


def test_every_flipped_bit_of_a_file_is_found(tmp_path):
    """Whatever can be read of a file of which one bit is another, is what was written."""
    arrays, document = {"w": RNG.normal(size=5), "n": np.array(3)}, {"steps": 7, "rate": 0.125}
    path = tmp_path / "a"
    safetensors.write(path, arrays, document)
    whole = path.read_bytes()
    refused = []
    for place in range(len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            try:
                found, said = safetensors.read(path)
            except ValueError as error:
                refused.append(str(error))
                continue
            assert said == document
            assert {name: array.tobytes() for name, array in found.items()} == {
                name: array.tobytes() for name, array in arrays.items()
            }
    # What is left are the spaces at the end of the header and the name of the digest itself.
    assert len(refused) > 0.9 * 8 * len(whole)
    assert all(str(path) in message for message in refused)


def test_what_no_file_can_hold_is_not_written(tmp_path):
    path = tmp_path / "a"
    safetensors.write(path, {}, "old")
    old = path.read_bytes()
    deep = 1
    for _ in range(50):
        deep = [deep]
    for arrays, document in [
        ({}, float("nan")),
        ({}, {"a": {1, 2}}),
        ({}, "\ud800"),
        ({}, 2**64),
        ({}, deep),
        ({}, [0] * 10_001),
        ({"__metadata__": np.ones(2)}, None),
        ({"a": np.array([None])}, None),
        ({"a": np.ones(2, complex)}, None),
        ({"a": np.array(["text"])}, None),
        ({"\ud800": np.ones(2)}, None),
        ({f"{number:099999}": np.ones(1) for number in range(100)}, None),
    ]:
        with pytest.raises((ValueError, TypeError), match="cannot write") as caught:
            safetensors.write(path, arrays, document)
        assert str(path) in str(caught.value)
    assert path.read_bytes() == old
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_the_package_agrees_that_they_are_lies():
    """Files that the package takes too are no lies: those that only we refuse are few, and known."""
    taken = []
    for name, data in LIES.items():
        try:
            load(data)
        except (SafetensorError, KeyError, ValueError):
            continue
        taken.append(name)
    # Unknown keys, doubled keys and the digest of our own; a dtype that NumPy does not have.
    assert set(taken) <= {
        "a key that is unknown",
        "a key that comes twice",
        "a digest of another length",
        "bfloat16",
        "too many axes",
        "spaces in front",
    }
