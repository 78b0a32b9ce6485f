"""Checks of what a user gives: values, arrays, labels, names; and claims to what only one may use.

Each check returns its argument in the wanted form, or raises an error that names the
argument, what was expected and what was received. `where`, always the first parameter, is the public name
that begins the message.
"""

from cconv.arguments.arrays import (
    ALIGNMENT,
    addressable,
    aligned_empty,
    any_array,
    as_activations,
    as_array,
    as_shape,
    common_dtype,
    ready,
    real_array,
    same_shape,
)
from cconv.arguments.configured import Configured, config_of, resolve
from cconv.arguments.labels import (
    LARGEST_EXACT,
    PROBABILITY_SLACK,
    as_labels,
    as_sample_weight,
    as_shares,
    check_weight_shape,
    finite_weights,
    spread_weight,
    whole_numbers,
)
from cconv.arguments.numbers import (
    ACTIVATIONS,
    DATA_FORMATS,
    LARGEST,
    activation,
    at_least_zero,
    data_format,
    finite,
    flag,
    fraction,
    is_int,
    one_of,
    pair,
    positive_int,
)

__all__ = [
    "ACTIVATIONS",
    "ALIGNMENT",
    "DATA_FORMATS",
    "LARGEST",
    "LARGEST_EXACT",
    "PROBABILITY_SLACK",
    "Configured",
    "activation",
    "addressable",
    "aligned_empty",
    "any_array",
    "as_activations",
    "as_array",
    "as_labels",
    "as_sample_weight",
    "as_shape",
    "as_shares",
    "at_least_zero",
    "check_weight_shape",
    "common_dtype",
    "config_of",
    "data_format",
    "finite",
    "finite_weights",
    "flag",
    "fraction",
    "is_int",
    "one_of",
    "pair",
    "positive_int",
    "ready",
    "real_array",
    "resolve",
    "same_shape",
    "spread_weight",
    "whole_numbers",
]
