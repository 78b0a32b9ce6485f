"""Every example of docs/bring-your-model.md runs."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "bring-your-model.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_there_is_an_example_of_every_way():
    text = "".join(BLOCKS)
    ways = [
        *("onnx.load(", ".export(", "load_model(", ".keras", "load_weights(", "save_weights("),
        *("load_state_dict(", "save_state_dict(", ".from_model(", "export_onnx("),
    ]
    for way in ways:
        assert way in text


@pytest.mark.parametrize("block", BLOCKS)
def test_examples_run(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, str(PAGE), "exec"), {})
