"""The report as one page: nothing outside of it is needed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver import Chrome

from sweeps.report.html import write_page
from tests.waiting import wait_for
from tsvan import video

pytest_plugins = ["tests.browser"]

REPORT = """# weizmann: study \\<b\\>one</b>

## Result

**adopt**: +0.31 [0.12, 0.50] <script>alert(1)</script>

| metric | best |
| --- | --- |
| H(y\\|v) | 3 |

## Samples

[All configs \\[a\\|b\\] & more](figures/film.mp4)

![A sheet](figures/sheet.png)
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    clip = np.random.default_rng(0).integers(0, 255, (10, 32, 32, 3), dtype=np.uint8)
    video.write_mp4(tmp_path / "figures" / "film.mp4", clip)
    video.write_png(tmp_path / "figures" / "sheet.png", clip[0])
    (tmp_path / "report.md").write_text(REPORT)
    out = tmp_path / "alone" / "report.html"
    write_page(tmp_path / "report.md", out)
    return out


def test_everything_is_inside(page: Path) -> None:
    text = page.read_text()
    sources = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert len(sources) == 4
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert "<script>" not in text
    assert "study &lt;b&gt;one&lt;/b&gt;" in text


def test_it_opens_from_the_disk_and_plays(page: Path, browser: Chrome) -> None:
    browser.get(page.as_uri())
    assert browser.title == "weizmann: study <b>one</b>"
    script = "return document.querySelector('video').readyState"
    wait_for(browser, lambda: browser.execute_script(script) == 4, "the film")
    assert browser.execute_script("return document.querySelector('img').naturalWidth") == 32
    assert [link.text for link in browser.find_elements("css selector", "nav a")] == ["Result", "Samples"]
    assert browser.find_element("css selector", "td").text == "H(y|v)"
    assert browser.find_element("css selector", "figcaption").text == "All configs [a|b] & more"
    asked = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert all(name.startswith("data:") for name in asked)
