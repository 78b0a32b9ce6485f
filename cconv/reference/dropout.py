"""Counter-based random numbers: the n-th draw is a function of n, so any part can be drawn anywhere."""

from collections.abc import Sequence

import numpy as np

WORD = 2**32


def philox4x32(counter: Sequence[int | np.ndarray], key: tuple[int, int], rounds: int = 10) -> np.ndarray:
    """Philox4x32: four random 32-bit words for every counter of four words, with a key of two words.

    One round, on the words c0…c3 and key k0, k1 (hi and lo are the halves of a 64-bit product)::

        c0, c1, c2, c3 = hi(M1*c2) ^ c1 ^ k0,  lo(M1*c2),  hi(M0*c0) ^ c3 ^ k1,  lo(M0*c0)
        k0, k1         = k0 + W0,  k1 + W1

    Source: Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3",
    section 3.3, with its constants. The result is a uint32 array of shape (..., 4).

    Examples
    --------
    >>> " ".join(f"{word:08x}" for word in philox4x32((0, 0, 0, 0), (0, 0)))
    '6627e8d5 e169c58d bc57ac4c 9b00dbd8'
    """
    m0, m1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
    w0, w1 = 0x9E3779B9, 0xBB67AE85
    low, half = np.uint64(WORD - 1), np.uint64(32)
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.asarray(word, np.uint64) for word in counter))
    for turn in range(rounds):
        k0, k1 = np.uint64((key[0] + turn * w0) % WORD), np.uint64((key[1] + turn * w1) % WORD)
        product0, product1 = m0 * c0, m1 * c2
        c0, c1 = (product1 >> half) ^ c1 ^ k0, product1 & low
        c2, c3 = (product0 >> half) ^ c3 ^ k1, product0 & low
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def dropout_mask(
    shape: tuple[int, ...], rate: float, seed: int, step: int, first_sample: int = 0, layer: int = 0
) -> np.ndarray:
    """Which elements of a batch dropout keeps: True with probability 1 - rate.

    Element e of sample s (shape[0] counts samples, e runs over the rest in C order) is kept if::

        word[e % 4] >= floor(rate * 2**32)
        word = philox4x32((e // 4, first_sample + s, step, layer), (seed % 2**32, seed >> 32))

    So the mask does not depend on how a batch is split. Source: Srivastava et al. 2014, "Dropout: a simple
    way to prevent neural networks from overfitting".

    Examples
    --------
    >>> both = dropout_mask((2, 5), 0.5, seed=1, step=0)
    >>> bool((dropout_mask((1, 5), 0.5, seed=1, step=0, first_sample=1) == both[1:]).all())
    True
    """
    samples, size = shape[0], int(np.prod(shape[1:], dtype=np.int64))
    blocks = np.arange(-(-size // 4), dtype=np.uint64)
    sample = np.arange(first_sample, first_sample + samples, dtype=np.uint64) % np.uint64(WORD)
    key = (seed % WORD, (seed >> 32) % WORD)
    words = philox4x32((blocks, sample[:, np.newaxis], step % WORD, layer % WORD), key)
    return (words.reshape(samples, -1)[:, :size] >= int(rate * WORD)).reshape(shape)


def normal_noise(
    shape: tuple[int, ...],
    seed: int,
    step: int,
    first_sample: int = 0,
    layer: int = 0,
    dtype: str | np.dtype = "float64",
) -> np.ndarray:
    """Return standard normal numbers for a batch; draws have the same names as in `dropout_mask`.

    Elements e and e + 1 of sample s, with e even, are made of two words of one counter::

        words = philox4x32((e // 4, first_sample + s, step, layer), (seed % 2**32, seed >> 32))
        a, b = words[e % 4 : e % 4 + 2]
        u, angle = (a + 1/2) / 2**32, 2 * pi * b / 2**32
        z[e], z[e + 1] = sqrt(-2 * log(u)) * cos(angle), sqrt(-2 * log(u)) * sin(angle)

    u is rounded to `dtype`; all else is float64. Source: Box & Muller 1958, "A note on the generation
    of random normal deviates".

    Examples
    --------
    >>> z = normal_noise((100, 100), seed=1, step=0)
    >>> bool(abs(z.mean()) < 0.03), bool(abs(z.std() - 1) < 0.03)
    (True, True)
    """
    samples, size = shape[0], int(np.prod(shape[1:], dtype=np.int64))
    blocks = np.arange(-(-size // 4), dtype=np.uint64)
    sample = np.arange(first_sample, first_sample + samples, dtype=np.uint64) % np.uint64(WORD)
    key = (seed % WORD, (seed >> 32) % WORD)
    words = philox4x32((blocks, sample[:, np.newaxis], step % WORD, layer % WORD), key)
    pairs = words.reshape(samples, -1, 2)
    kind = np.dtype(dtype).type
    u = ((pairs[..., 0].astype(kind) + kind(0.5)) * kind(2.0**-32)).astype(np.float64)
    angle = pairs[..., 1] * (2 * np.pi / WORD)
    radius = np.sqrt(-2 * np.log(u))
    z = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return z.reshape(samples, -1)[:, :size].reshape(shape)
