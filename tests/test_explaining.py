"""`cconv.explain`: the steps that it names are those of the plan, its figures those of the shapes."""

import numpy as np
import pytest

import cconv
from cconv.engine.plan import Plan
from cconv.models import explaining


@pytest.fixture
def model():
    layers = [
        cconv.Conv2D(16, 3, activation="relu", padding="same", input_shape=(12, 12, 16)),
        cconv.Conv2D(8, 5, activation="relu"),
        cconv.MaxPooling2D(2),
        cconv.BatchNormalization(),
        cconv.Dropout(0.5),
        cconv.Flatten(),
        cconv.Dense(10),
    ]
    return cconv.Sequential(layers, seed=3)


def lines_of(model, *args, **settings):
    lines = []
    cconv.explain(model, *args, print_fn=lines.append, **settings)
    return lines


def test_one_line_a_step_and_their_sum(model):
    lines = lines_of(model, 4)
    steps = Plan(model.layers, training=False, seed=0).steps
    assert lines[0].startswith("float32, 4 samples, ")
    assert lines[1].split()[:3] == ["Step", "Pass", "Algorithm"]
    assert len(lines) == 2 + len(steps) + 1
    assert lines[2].startswith("conv2d ")
    assert "winograd F(4x4,3x3)" in lines[2]
    assert lines[3].startswith("conv2d_1 + max_pooling2d ")
    assert lines[-1].startswith("in all")


def test_figures_are_those_of_the_shapes(model):
    forward, *_ = explaining.measure(model.layers, 4, False, 0)
    assert forward.flops == 2 * 4 * 12 * 12 * 16 * 9 * 16
    assert forward.nbytes == 4 * (2 * 4 * 12 * 12 * 16 + 9 * 16 * 16 + 16)
    assert forward.seconds > 0
    limits = explaining.Limits(flops=1e9, bandwidth=1e6)
    assert forward.floor(limits) == forward.nbytes / 1e6
    assert forward.floor(limits._replace(bandwidth=1e12)) == forward.flops / 1e9


def test_backward_passes_come_in_their_order_without_the_input_of_the_first(model):
    passes = explaining.measure(model.layers, 4, True, 0)
    forward = [entry for entry in passes if entry.direction == "forward"]
    backward = [entry for entry in passes if entry.direction == "backward"]
    assert [entry.layers for entry in backward] == [entry.layers for entry in reversed(forward)]
    assert backward[-1].flops == forward[0].flops
    assert backward[-2].flops == 2 * forward[1].flops
    flatten = next(entry for entry in forward if entry.layers == "flatten")
    assert flatten.nbytes == 0


def test_a_convolution_that_adds_reads_what_it_adds():
    x = cconv.layers.Input((6, 6, 8))
    y = cconv.Conv2D(8, 3, padding="same", use_bias=False)(x)
    model = cconv.models.Model(x, cconv.layers.ReLU()(cconv.layers.Add()([y, x])))
    (only,) = explaining.measure(model._flow(), 2, False, 0)
    assert only.names[-2:] == ("add", "re_lu")
    assert only.nbytes == 4 * (3 * 2 * 6 * 6 * 8 + 3 * 3 * 8 * 8)


def test_a_growing_concatenation_moves_what_it_appends():
    value = x = cconv.layers.Input((6, 6, 8))
    for _ in range(2):
        normalized = cconv.layers.ReLU()(cconv.BatchNormalization()(value))
        value = cconv.layers.Concatenate()([value, cconv.Conv2D(4, 3, padding="same")(normalized)])
    model = cconv.models.Model(x, cconv.layers.ReLU()(cconv.BatchNormalization()(value)))
    passes = explaining.measure(model._flow(), 2, False, 0)
    first, second = (each for each in passes if each.names[0].startswith("concatenate"))
    assert first.nbytes == 4 * 2 * 6 * 6 * 2 * (8 + 4)
    assert second.nbytes == 4 * 2 * 6 * 6 * 2 * 4


def test_the_model_stays_as_it_was(model):
    before = [array.copy() for array in model.get_weights()]
    lines_of(model, 4, training=True)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_machine_limits_are_speeds():
    limits = explaining.machine_limits(np.dtype(np.float64))
    assert limits.flops > 1e7
    assert limits.bandwidth > 1e7


def test_bad_arguments_are_named(model):
    with pytest.raises(TypeError, match="explain: model must be a Sequential or a Model, got list"):
        cconv.explain([])
    with pytest.raises(ValueError, match="explain: the model is not built"):
        cconv.explain(cconv.Sequential([cconv.Dense(3)]))
    with pytest.raises(ValueError, match="explain: batch_size must be"):
        cconv.explain(model, 0)
    with pytest.raises(TypeError, match="explain: training must be"):
        cconv.explain(model, 4, training="yes")


def test_depthwise_convolutions_have_kernels_of_their_own():
    layers = [cconv.DepthwiseConv2D(3, input_shape=(9, 9, 4)), cconv.DepthwiseConv2D(3, depth_multiplier=2)]
    lines = lines_of(cconv.Sequential(layers, seed=3), 2)
    assert lines[2].split()[2] == "depthwise"
    assert lines[3].split()[2] == "direct"


def test_channels_first_and_a_model_that_is_not_fused(model):
    first = cconv.Conv2D(64, 3, padding="same", data_format="channels_first", input_shape=(16, 16, 4000))
    assert "winograd" in lines_of(cconv.Sequential([first], seed=0), 1)[2]
    narrow = cconv.Conv2D(9, 3, data_format="channels_first", input_shape=(1, 28, 28))
    assert lines_of(cconv.Sequential([narrow], seed=0), 3)[2].split()[1:3] == ["forward", "few_taps"]
    model.fuse = False
    assert [line.split()[0] for line in lines_of(model, 4)[2:-1]] == [layer.name for layer in model.layers]


def test_images_in_the_lanes_are_named():
    layers = [cconv.Conv2D(8, 5, input_shape=(14, 14, 1)), cconv.Conv2D(40, 5), cconv.Conv2D(6, 5, strides=2)]
    model = cconv.Sequential(layers, seed=0)
    few, many = ([line.split()[2] for line in lines_of(model, n, training=True)[2:-1]] for n in (3, 32))
    assert few == ["few_taps", "direct", "direct", "direct", "direct", "few_taps"]
    assert many == ["lanes", "direct", "lanes", "direct", "lanes,", "few_taps"]


def test_a_depthwise_convolution_of_one_channel_is_what_it_is_computed_as():
    model = cconv.Sequential([cconv.DepthwiseConv2D(3, input_shape=(9, 9, 1))], seed=0)
    assert lines_of(model, 2)[2].split()[2] == "few_taps"


def test_tiles_along_rows_are_named():
    layers = [cconv.Conv2D(30, 5, activation="relu", input_shape=(28, 28, 1)), cconv.MaxPooling2D(2)]
    lines = lines_of(cconv.Sequential(layers, seed=0), 2, training=True)
    assert "winograd F(4,5) along rows" in lines[2]
    assert lines[3].split()[4] == "few_taps"
