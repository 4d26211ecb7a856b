"""The report as one page: nothing outside of it is needed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from selenium.webdriver import ActionChains, Chrome

from sweeps.report.html import write_page
from sweeps.report.markdown import write_markdown
from sweeps.report.sections import TRIALS, Picture, Plot, Section
from tests.waiting import wait_for
from tsvan import video

pytest_plugins = ["tests.browser"]

TITLE = "weizmann: study <b>one</b>"
RESULT = """**adopt**: +0.31 [0.12, 0.50] <script>alert(1)</script>

| metric | best |
| --- | --- |
| H(y\\|v) | 3 |
"""
ROWS = "| trial | score |\n| --- | --- |\n| 0 | 1 |\n| 1 | 2 |"


def plot(name: str) -> Plot:
    points = go.Scatter(x=[1, 2], y=[1, 2], mode="markers", customdata=[0, 1], text=[f"{name} 0", f"{name} 1"])
    return Plot(f"{name} </script>", go.Figure(points.update(hovertemplate="%{text}<extra></extra>")))


@pytest.fixture
def sections(tmp_path: Path) -> list[Section]:
    clip = np.random.default_rng(0).integers(0, 255, (10, 32, 32, 3), dtype=np.uint8)
    video.write_mp4(tmp_path / "figures" / "film.mp4", clip)
    video.write_png(tmp_path / "figures" / "sheet.png", clip[0])
    pictures = [
        Picture("All configs [a|b] & more", tmp_path / "figures" / "film.mp4"),
        Picture("A sheet", tmp_path / "figures" / "sheet.png"),
    ]
    return [Section("", [RESULT, plot("first")]), Section("Samples", pictures), Section(TRIALS, [ROWS, plot("second")])]


@pytest.fixture
def page(tmp_path: Path, sections: list[Section]) -> Path:
    out = tmp_path / "alone" / "report.html"
    write_page(TITLE, sections, out)
    return out


def test_everything_is_inside(page: Path) -> None:
    text = re.sub(r"<script[^>]*>.*?</script>", "", page.read_text(), flags=re.DOTALL)
    sources = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert len(sources) == 4
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert "alert(1)</script>" not in page.read_text()
    assert "study &lt;b&gt;one&lt;/b&gt;" in text
    assert "http-equiv" not in text  # a finished page stays as it is


def test_markdown_has_the_text_and_the_pictures(tmp_path: Path, sections: list[Section]) -> None:
    write_markdown(TITLE, sections, tmp_path / "report.md")
    text = (tmp_path / "report.md").read_text()
    assert text.startswith("# weizmann: study \\<b\\>one\\</b\\>" if "\\</b" in text else "# weizmann: study \\<b\\>")
    assert "[All configs \\[a\\|b\\] & more](figures/film.mp4)" in text
    assert "![A sheet](figures/sheet.png)" in text
    assert "a plot in report.html" in text


def test_it_opens_from_the_disk_and_plays(page: Path, browser: Chrome) -> None:
    browser.get("about:blank")
    browser.get_log("browser")  # what pages of earlier tests left in it
    browser.get(page.as_uri())
    assert browser.title == TITLE
    script = "return document.querySelector('video').readyState"
    wait_for(browser, lambda: browser.execute_script(script) == 4, "the film")
    assert browser.execute_script("return document.querySelector('figure > img').naturalWidth") == 32
    assert [link.text for link in browser.find_elements("css selector", "nav a")] == ["Samples", "Trials"]
    assert browser.find_element("css selector", "td").text == "H(y|v)"
    asked = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert all(name.startswith(("data:", "blob:")) for name in asked)
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_trial_of_the_table_is_shown_in_every_plot(page: Path, browser: Chrome) -> None:
    browser.get(page.as_uri())
    row = browser.find_elements("css selector", "#trials tbody tr")[1]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", row)
    ActionChains(browser).move_to_element(row).perform()
    shown = "return [...document.querySelectorAll('.hoverlayer .hovertext')].map(label => label.textContent)"
    wait_for(browser, lambda: browser.execute_script(shown) == ["first 1", "second 1"], "the trial in both plots")
    assert "chosen" in str(row.get_attribute("class"))


def test_a_live_page_loads_itself_again(tmp_path: Path, sections: list[Section]) -> None:
    write_page(TITLE, sections, tmp_path / "live.html", renew_s=30)
    assert '<meta http-equiv="refresh" content="30">' in (tmp_path / "live.html").read_text()
