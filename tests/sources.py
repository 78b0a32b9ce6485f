"""Data that are not arrays: what a model must take as it takes arrays."""

import numpy as np


class OnDisk:
    """An array as h5py has it: slices alone, of at most so many samples; counts its reads."""

    def __init__(self, array, chunks=None, most=None, picks=False):
        self._array, self.chunks, self.most = array, chunks, most or len(array)
        self.shape, self.dtype = array.shape, array.dtype
        self.takes_rows = picks
        self.reads = []

    def __len__(self):
        return len(self._array)

    def __getitem__(self, rows):
        if self.takes_rows:
            assert isinstance(rows, np.ndarray), "numbers, as it says"
            assert np.all(np.diff(rows) > 0), "rising"
            self.reads += [(row, row + 1) for row in rows.tolist()]
            return self._array[rows]
        assert isinstance(rows, slice), "one slice of samples at a time"
        assert rows.step in (None, 1)
        assert 0 <= rows.start < rows.stop <= len(self), "inside of the array"
        assert rows.stop - rows.start <= self.most, "not so many at a time"
        self.reads.append((rows.start, rows.stop))
        return self._array[rows].copy()

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("the whole was asked for")


class Numbered:
    """Batches by their numbers, as Keras' PyDataset; counts what it is asked for."""

    def __init__(self, batches, **settings):
        self.batches, self.asked, self.events = batches, [], []
        vars(self).update(settings)

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, number):
        assert 0 <= number < len(self), "IndexError is nobody's signal"
        self.asked.append(number)
        return self.batches[number]

    def on_epoch_begin(self):
        self.events.append("begin")

    def on_epoch_end(self):
        self.events.append("end")


class Silent(Numbered):
    """Batches by their numbers that hear of no epochs."""

    on_epoch_begin = on_epoch_end = None


class Loader:
    """What can be iterated over again and again, such as PyTorch's DataLoader: lists of tensors."""

    def __init__(self, batches, length=True):
        self.batches, self.begun = batches, 0
        if length:
            self.length = len(batches)

    def __len__(self):
        if not hasattr(self, "length"):
            raise TypeError("the length is not known")
        return self.length

    def __iter__(self):
        self.begun += 1
        for batch in self.batches:
            yield [Tensor(part) for part in batch]


class Tensor:
    """What only its own method turns into an array."""

    def __init__(self, array):
        self._array = array

    def numpy(self):
        return self._array


def in_batches(size, *arrays):
    """Tuples of so many rows of each array."""
    return [tuple(a[i : i + size] for a in arrays) for i in range(0, len(arrays[0]), size)]


def same(a, b):
    """Whether two models have the same weights, bit for bit."""
    pairs = zip(a.get_weights(), b.get_weights(), strict=True)
    return all(np.array_equal(left, right) for left, right in pairs)
