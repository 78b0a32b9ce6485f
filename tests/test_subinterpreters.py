"""In a subinterpreter the import is refused with one sentence; the main interpreter is well."""

import subprocess
import sys

import pytest

CODE = """
import sys
try:
    import _interpreters as known
except ImportError:
    import _xxsubinterpreters as known
inside = '''
import sys
sys.path[:0] = %r
try:
    import {module}
    print("imported", flush=True)
except ImportError as error:
    print(error, error.__cause__, "numpy" in sys.modules, flush=True)
''' % [place for place in sys.path if place]
main_first, isolated = sys.argv[1:]
if main_first == "True":
    import cconv
    cconv.Dense(2)
for turn, module in enumerate(["cconv", "cconv.functional", "cconv._kernels"]):
    if sys.version_info >= (3, 13):
        number = known.create("isolated" if isolated == "True" else "legacy")
    else:
        number = known.create(isolated=isolated == "True")
    assert known.run_string(number, inside.format(module=module)) is None
    known.destroy(number)
import cconv
model = cconv.Sequential([cconv.Dense(2, input_shape=(3,))])
print(model.predict([[1, 2, 3]]).shape)
"""
REFUSED = "cconv must be imported in the main interpreter of a process, got a subinterpreter: "


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="CPython's")
@pytest.mark.parametrize("isolated", [True, False])
@pytest.mark.parametrize("main_first", [True, False])
def test_a_subinterpreter_is_refused(main_first, isolated):
    command = [sys.executable, "-X", "faulthandler", "-c", CODE, str(main_first), str(isolated)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 4, lines
    for line in lines[:3]:
        assert line.startswith(REFUSED)
        assert line.endswith("None False")  # nothing that could go wrong was begun
    assert lines[3] == "(1, 2)"
