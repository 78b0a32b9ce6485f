"""What `cconv train` refuses of a file of arrays."""

import numpy as np
import pytest

from cconv import cli


@pytest.mark.parametrize(
    ("more", "value", "words"),
    [
        (["--size", "20"], 0.5, "--size is for the pictures of a folder"),
        ([], np.nan, "x_test must hold finite"),
    ],
)
def test_arrays_that_are_not_trained_on(more, value, words, tmp_path, capsys):
    x, y = np.full((20, 16, 16), 0.5, np.float32), np.arange(20) % 2
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x * np.float32(value), y_test=y)
    out = str(tmp_path / "m.safetensors")
    assert cli.main(["train", "--data", str(tmp_path / "a.npz"), "--out", out, *more]) != 0
    assert words in capsys.readouterr().err
