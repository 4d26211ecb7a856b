"""Headless Chromium, for tests that look at pages as people do.

A test module that wants the fixture `browser` says `pytest_plugins = ["tests.browser"]`; `tests.waiting` waits for it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from tests.waiting import PATIENCE_S

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # containers have little of it
    "--window-size=1000,800",
)


def why_no_browser() -> str | None:
    """What is missing; None: nothing."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"no {' and no '.join(missing)} here; apt-get install chromium chromium-driver" if missing else None


@contextmanager
def open_browser(folder: Path) -> Iterator[Chrome]:
    """Chromium with an empty profile and a folder `downloads`, both below `folder`."""
    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    downloads = folder / "downloads"
    downloads.mkdir(parents=True)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    # With both paths given selenium looks for no driver of its own, here or elsewhere.
    driver = Chrome(options=options, service=Service(executable_path=shutil.which("chromedriver")))
    try:
        driver.set_page_load_timeout(PATIENCE_S)
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="session")
def browser_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the browser keeps its profile and its downloads."""
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="session")
def browser(browser_folder: Path) -> Iterator[Chrome]:
    """One Chromium for all tests; without it they are skipped."""
    reason = why_no_browser()
    if reason is not None:
        pytest.skip(reason)
    with open_browser(browser_folder) as driver:
        yield driver
