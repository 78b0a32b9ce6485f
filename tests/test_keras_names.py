"""Names and strings of Keras that cconv has not are refused by name."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from keras_tables import API, INSIDE, ROOT, module_of, section_in

import cconv
from cconv import layers, losses, optimizers
from cconv.arguments.keras_names import PAGE, of_string, section_of
from cconv.arguments.keras_names.missing import MISSING
from cconv.models import Sequential

NAMES = [(namespace, name) for namespace, table in MISSING.items() for name in table]


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("namespace", "name"), NAMES)
def test_a_missing_name_is_refused(namespace, name):
    module = module_of(namespace)
    assert name not in vars(module), f"cconv has {name} now: remove its line from cconv/arguments/keras_names"
    begin = f"{module.__name__} has no {name}: see {PAGE}#"
    with pytest.raises(AttributeError) as caught:
        getattr(module, name)
    assert str(caught.value).startswith(begin)
    assert section_in(caught.value) == section_of(namespace)
    with pytest.raises(ImportError) as imported:
        exec(f"from {module.__name__} import {name}", {})
    assert str(imported.value) == str(caught.value)
    assert imported.value.name == module.__name__
    assert not hasattr(module, name)
    assert getattr(module, name, 3) == 3


@pytest.mark.parametrize("namespace", sorted(namespace for namespace in API if namespace in MISSING))
def test_every_name_of_keras_is_here_or_refused(namespace):
    module = module_of(namespace)
    known = {*dir(module), *MISSING[namespace], *(INSIDE if not namespace else ())}
    unknown = [name for name in API[namespace] if name not in known]
    assert not unknown, "add them to cconv/arguments/keras_names"


@pytest.mark.parametrize("namespace", MISSING)
def test_unknown_names_are_errors_of_python(namespace):
    module = module_of(namespace)
    for name in ("Conv2d_", "nope", "__nope__", "_nope"):
        with pytest.raises(AttributeError, match=rf"^module '{module.__name__}' has no attribute '{name}'$"):
            getattr(module, name)
        with pytest.raises(ImportError, match="cannot import name"):
            exec(f"from {module.__name__} import {name}", {})


def test_layers_are_looked_for_at_the_top():
    with pytest.raises(AttributeError, match=r"^cconv has no Conv3D: see docs/coming-from-keras.md#layers"):
        _ = cconv.Conv3D
    with pytest.raises(ImportError, match=r"^cconv has no Conv3D: see docs/coming-from-keras.md#layers"):
        exec("from cconv import Conv3D", {})


@pytest.mark.parametrize(
    ("program", "last"),
    [
        ("from cconv.layers import Conv3D", "ImportError: cconv.layers has no Conv3D: see docs/coming-from"),
        ("from cconv.layers import Dense, GRU", "ImportError: cconv.layers has no GRU: see docs/coming-from"),
        (
            "from cconv.losses import CTC as D",
            "ImportError: cconv.losses has no CTC: see docs/coming-from",
        ),
        (
            "import cconv\ncconv.layers.Conv3D(3)",
            "AttributeError: cconv.layers has no Conv3D: see docs/coming-f",
        ),
        (
            "def f():\n    from cconv import Variable\nf()",
            "ImportError: cconv has no Variable: see docs/coming-from",
        ),
    ],
)
@pytest.mark.parametrize("traced", [False, True])
def test_what_the_user_sees(program, last, traced):
    begin = "import sys\nsys.settrace(lambda *a: None)\n" if traced else ""
    done = subprocess.run(
        [sys.executable, "-c", begin + program],
        cwd=Path(cconv.__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(last)


def test_the_tables_are_not_loaded_before_they_are_needed():
    program = (
        "import sys, cconv, cconv.models, cconv.callbacks, cconv.applications, cconv.datasets\n"
        "cconv.Sequential([cconv.Dense(3, input_shape=(2,))]).compile('adam', 'mse')\n"
        "assert 'cconv.arguments.keras_names' in sys.modules\n"
        "assert 'cconv.arguments.keras_names.missing' not in sys.modules\n"
        "assert 'cconv.arguments.keras_names.arguments' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=60, check=True)


# --- strings --------------------------------------------------------------------------------------

FAMILIES = {
    "losses": losses.get,
    "optimizers": optimizers.get,
    "metrics": cconv.metrics.get,
    "activations": cconv.activations.get,
    "initializers": cconv.initializers.get,
    "regularizers": cconv.regularizers.get,
    "constraints": cconv.constraints.get,
}


@pytest.mark.parametrize("namespace", FAMILIES)
def test_strings_are_known_or_refused_with_the_page(namespace):
    get, refused = FAMILIES[namespace], 0
    for name in MISSING[namespace]:
        for value in {name, name.lower(), name.upper()}:
            message = ""
            try:
                get(value)
            except ValueError as error:
                message = str(error)
            if message:
                assert section_in(message) == namespace
                assert re.search(rf"value must be one of '.*', got '{value}', which Keras has", message)
                refused += 1
    assert refused > 2 or len(MISSING[namespace]) < 4
    with pytest.raises(ValueError, match="must be one of") as caught:
        get("nothing of this name")
    assert PAGE not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "section"),
    [
        (lambda: Sequential().compile("muon", "mse"), "optimizers"),
        (lambda: Sequential().compile("sgd", "ctc"), "losses"),
        (lambda: Sequential().compile("sgd", "mse", metrics=["precision_at_recall"]), "metrics"),
        (lambda: layers.Dense(2, activation="celu"), "activations"),
        (lambda: layers.Activation("hard_tanh"), "activations"),
        (lambda: layers.Conv2D(2, 3, kernel_initializer="stft"), "initializers"),
        (lambda: layers.deserialize({"class_name": "LSTM", "config": {}}), "layers"),
    ],
)
def test_strings_where_they_are_given(make, section):
    with pytest.raises(ValueError, match=r"must be (one of|that of a layer)") as caught:
        make()
    assert section_in(caught.value) == section


def test_metrics_are_known_in_capitals_as_in_keras():
    assert cconv.metrics.get("MSE").name == "MSE"
    assert cconv.metrics.get("MSE")([[1.0]], [[3.0]]) == 4.0
    assert of_string(losses.Loss, "CTC").startswith(", which Keras has: see")
