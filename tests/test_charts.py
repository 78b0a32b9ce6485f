"""The charts of the benchmarks on the site: what they are made of, and, in a browser, that they answer."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))
from _site import charts  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
FOUND = charts.data(RESULTS)


def results(name):
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["rows"]


def test_every_measured_network_is_in_a_chart():
    shown = [view for view in FOUND["views"] if view["unit"] == "milliseconds a step"]
    rows = results("models")
    assert sum(len(view["rows"]) for view in shown) == len(rows)
    for row in rows:
        part = (
            "training"
            if row["mode"] == "train"
            else "prediction"
            if row["batch"] > 1
            else "prediction of one image"
        )
        name = f"{part}, {row['dtype']}, {row['threads']} thread{'s' * (row['threads'] > 1)}"
        (view,) = [view for view in shown if view["name"] == name]
        ((_, values),) = [pair for pair in view["rows"] if pair[0] == charts._label(row)]
        assert values == {
            peer: pytest.approx(1000 * one["median"], rel=1e-5) for peer, one in row["peers"].items()
        }


def test_the_other_charts_are_those_of_memory_and_of_each_pass():
    names = [view["name"] for view in FOUND["views"]]
    assert len(names) == len(set(names))
    memory, *passes = [view for view in FOUND["views"] if view["unit"] != "milliseconds a step"]
    assert [round(values["cconv"] * 2**20) for _, values in memory["rows"]] == [
        pytest.approx(row["peers"]["cconv"]["peak"], rel=1e-5) for row in results("memory")
    ]
    assert [view["name"].split(", ")[1] for view in passes] == [
        "forward",
        "input gradient",
        "weight gradient",
    ]
    assert not any(view["log"] for view in passes)
    for view in FOUND["views"]:
        for _, values in view["rows"]:
            assert {*values} <= {*FOUND["peers"]}
            assert all(value > 0 for value in values.values())


def test_the_page_has_a_place_for_them_and_names_do_not_end_the_script():
    assert charts.PLACE in (DOCS / "charts.md").read_text(encoding="utf-8")
    text = charts.fragment(
        {"peers": {"cconv": "</script><b>"}, "views": [{**FOUND["views"][0], "name": "</script>"}]}
    )
    (data,) = re.findall(r'<script type="application/json" id="results">(.*?)</script>', text)
    assert json.loads(data)["peers"] == {"cconv": "</script><b>"}
    assert "&lt;/script&gt;" in text


def test_the_table_has_every_number_of_its_chart():
    view = FOUND["views"][0]
    text = charts.table(view, FOUND["peers"])
    assert text.count("<tr>") == 1 + len(view["rows"])
    cells = sum(len(values) for _, values in view["rows"])
    assert len(re.findall(r"<td>[\d,.]+</td>", text)) == cells


@pytest.mark.skipif(not os.environ.get("CCONV_BROWSER"), reason="CCONV_BROWSER names no browser")
def test_the_charts_answer(tmp_path):
    from playwright.sync_api import sync_playwright

    page_text = f"<!doctype html><html lang=en><title>c</title><body>{charts.fragment(FOUND)}"
    (tmp_path / "page.html").write_text(page_text, encoding="utf-8")
    (tmp_path / "_static").mkdir()
    script = (DOCS / "_static" / "charts.js").read_text(encoding="utf-8")
    (tmp_path / "_static" / "charts.js").write_text(script, encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ["CCONV_BROWSER"], args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 390, "height": 900})
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((tmp_path / "page.html").as_uri())
        said = page.locator(".said")
        for number, view in enumerate(FOUND["views"]):
            page.select_option("#what", str(number))
            marks = page.locator(".chart .row path").count()
            assert marks == sum(len(values) for _, values in view["rows"])
            assert view["rows"][0][0] in said.inner_text()
        page.select_option("#what", "0")
        first, second = (pair for pair in FOUND["views"][0]["rows"][:2])
        page.locator(".chart").focus()
        page.keyboard.press("ArrowDown")
        assert said.inner_text().startswith(second[0])
        page.locator(".chart .row").first.hover()
        assert said.inner_text().startswith(first[0])
        page.get_by_role("button", name="cconv", exact=True).click()
        assert not re.search(r"\bcconv \d", said.inner_text())
        page.get_by_label("as multiples of cconv's").check()
        ratio = first[1]["torch"] / first[1]["cconv"]
        (written,) = re.findall(r"PyTorch, NCHW ([\d.]+)", said.inner_text())
        assert float(written) == pytest.approx(ratio, rel=0.01)
        assert page.locator("table tbody tr").count() == len(FOUND["views"][0]["rows"])
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()
    assert errors == []
