"""Waiting for a page in a browser: no fixed sleeps, and a timeout that says for what."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait

PATIENCE_S = 20

T = TypeVar("T")


def wait_for(driver: Chrome, condition: Callable[[], T], what: str) -> T:
    """Wait until `condition` gives something true, and return that."""
    return WebDriverWait(driver, PATIENCE_S, poll_frequency=0.05).until(lambda _: condition(), f"waited for {what}")
