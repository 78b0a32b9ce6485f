"""What is said to those who write in a graph what makes no layer, or hold a model of another dtype."""

import copy
import pickle

import numpy as np
import pytest

from cconv.layers import Dense, Input
from cconv.models import Model, Sequential, clone_model, flowing


@pytest.mark.parametrize(
    ("operate", "said"),
    [
        (abs, r"abs\(x\) makes no layer, only \+ - \* / do: use Maximum\(\)\(\[x, -x\]\)"),
        (lambda x: x**2, r"x \*\* y makes no layer, .*: use x \* x for a square"),
        (lambda x: x @ x, r"x @ y makes no layer, .*: use Dot"),
        (lambda x: x[:, 0], r"x\[\.\.\.\] makes no layer, .*: use Cropping1D, Cropping2D"),
    ],
)
def test_operators_that_make_no_layer_say_what_does(operate, said):
    x = Input((3, 2), name="x")
    with pytest.raises(TypeError, match=r"^<KerasTensor 'x' \(None, 3, 2\)>: " + said):
        operate(x)


def test_what_they_name_computes_it():
    from cconv.layers import Maximum

    x, given = Input((3,)), np.array([[-1.5, 0.0, 2.0]])
    model = Model(x, [Maximum()([x, -x]), x * x], dtype="float64")
    absolute, square = model.predict(given, verbose=0)
    assert np.array_equal(absolute, np.abs(given))
    assert np.array_equal(square, given**2)


@pytest.mark.parametrize("inner", ["Model", "Sequential"])
def test_a_model_of_another_dtype_in_a_model_says_what_to_give(inner):
    i, x = Input((3,)), Input((3,))
    base = Model(i, Dense(2)(i)) if inner == "Model" else Sequential([Dense(2, input_shape=(3,))])
    with pytest.raises(ValueError, match=r"float32, got .* float64 here: give all models .* the same dtype="):
        Model(x, base(x), dtype="float64")
    with pytest.raises(ValueError, match=r"got \(4,\) and float32 here$"):
        Sequential([*base.layers[-1:]]).build((None, 4))


@pytest.mark.parametrize("inner", ["Model", "Sequential"])
def test_models_are_nested_only_so_deep_as_copies_go(inner):
    model = Sequential([Dense(2, input_shape=(2,))], seed=1)
    for _ in range(flowing.DEEPEST - 1):
        x = Input((2,))
        model = Sequential([model], seed=1) if inner == "Sequential" else Model(x, model(x), seed=1)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), clone_model(model)):
        assert other.count_params() == 6
    with pytest.raises(ValueError, match=f"models must be nested at most 32 deep, {model.name!r} is"):
        Sequential([model]) if inner == "Sequential" else model(Input((2,)))
