"""The page as a rater uses it: a real server, a real browser, real clicks and keys."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from analysis.user_study.__main__ import main
from analysis.user_study.answers import read_answers
from analysis.user_study.server import StudyServer
from analysis.user_study.study import StudyFolder, read_study
from tests.analysis.user_studies import small_study
from tests.waiting import wait_for

pytest_plugins = ["tests.browser"]


@contextmanager
def serving(folder: StudyFolder) -> Iterator[StudyServer]:
    with StudyServer(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    return small_study(tmp_path, per_rater=2)


def text(browser: Chrome, name: str) -> str:
    return browser.find_element(By.ID, name).text


def click(browser: Chrome, name: str) -> None:
    button = browser.find_element(By.ID, name)
    wait_for(browser, lambda: button.is_displayed() and button.is_enabled(), f"{name} can be clicked")
    button.click()


def reached(browser: Chrome, place: str) -> None:
    """The question is on the live_table, both clips were played once, and a slip of the finger before it is over."""
    wait_for(browser, lambda: text(browser, "place") == place, f"question {place}")
    wait_for(
        browser,
        lambda: browser.execute_script("return watched && performance.now() - shown.since > REFRACTORY_MS"),
        "clips played",
    )


def press(browser: Chrome, key: str) -> None:
    browser.find_element(By.TAG_NAME, "body").send_keys(key)


def bright_side(browser: Chrome, study: StudyFolder) -> str:
    """Where side a's clip is, by the truth that the page does not have."""
    shown = browser.execute_script("return shown.showing.id")
    return "left" if read_study(study).by_id[shown].left_side == "a" else "right"


def play_together(browser: Chrome) -> bool:
    left, right = browser.execute_script("return sides.map((side) => side.video.currentTime)")
    return min(left, right) > 0 and abs(left - right) < 1 / 12


def said_missing(browser: Chrome) -> str:
    said = wait_for(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".missing:not([hidden])"), "a word on it")
    return said[0].text


def online(browser: Chrome, value: bool) -> None:
    browser.execute_cdp_cmd("Network.enable", {})
    rates = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": not value, **rates})


def saved(folder: Path) -> list[Path]:
    return [file for file in folder.glob("answers-*.json") if file.stat().st_size]


def thanked(browser: Chrome) -> str:
    wait_for(browser, lambda: browser.find_element(By.ID, "thanks").is_displayed(), "the end")
    return text(browser, "outcome")


def test_a_rater_answers_by_mouse_and_keys_goes_on_after_a_reload_and_is_scored(
    browser: Chrome, study: StudyFolder, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    keys = {"left": Keys.ARROW_LEFT, "right": Keys.ARROW_RIGHT}
    with serving(study) as server:
        browser.get(server.address)
        assert "2 pairs of short videos" in browser.find_element(By.ID, "welcome").text
        click(browser, "start")
        reached(browser, "1 of 4")
        assert text(browser, "question") == "Which video looks better?"
        assert not browser.find_element(By.ID, "told").is_displayed()
        click(browser, bright_side(browser, study))

        reached(browser, "2 of 4")  # the same pair, with the class told
        assert text(browser, "question") == "Which video looks better now?"
        assert text(browser, "told") in ("The action is: wave", "The action is: run")
        press(browser, keys[bright_side(browser, study)])

        reached(browser, "3 of 4")
        browser.refresh()
        reached(browser, "3 of 4")
        wait_for(browser, lambda: play_together(browser), "both clips at the same frame")
        press(browser, keys[bright_side(browser, study)])
        reached(browser, "4 of 4")
        press(browser, keys["left" if bright_side(browser, study) == "right" else "right"])

        assert thanked(browser).startswith("Your answers (4)")
        wait_for(browser, lambda: "have arrived" in text(browser, "outcome"), "all answers arrived")
        browser.refresh()
        assert thanked(browser) == "Your answers (4) have arrived. You can close this page."
        assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []

    assert len(study.answers.read_text().splitlines()) == 4
    assert main(["score", "--study", str(study.path), "--json", str(tmp_path / "score.json")]) == 0
    assert "preference for ours" in capsys.readouterr().out
    found = json.loads((tmp_path / "score.json").read_text())["questions"]
    assert [found[question]["overall"]["percent"] for question in ("plain", "told")] == [100.0, 50.0]


def test_without_a_server_the_answers_are_saved_as_a_file(
    browser: Chrome, browser_folder: Path, study: StudyFolder
) -> None:
    browser.get(study.index.as_uri())
    click(browser, "start")
    for place in ("1 of 4", "2 of 4", "3 of 4", "4 of 4"):
        reached(browser, place)
        press(browser, Keys.ARROW_LEFT)
    assert "save them as a file" in thanked(browser)
    click(browser, "save")
    (file,) = wait_for(browser, lambda: saved(browser_folder / "downloads"), "the download")
    answers = read_answers([file], read_study(study))
    assert [answer.choice for answer in answers] == ["left"] * 4
    assert main(["score", "--study", str(study.path), str(file)]) == 0


def test_a_study_of_one_class_asks_once_and_a_missing_clip_is_said(browser: Chrome, tmp_path: Path) -> None:
    study = small_study(tmp_path, labels=("talk",), pairs=4, per_rater=2)
    for name in read_study(study).clips:
        study.clip(name).rename(study.clip(name).with_suffix(".away"))
    with serving(study) as server:
        browser.get(server.address)
        click(browser, "start")
        wait_for(browser, lambda: text(browser, "place") == "1 of 2", "the first question")
        assert "could not be loaded: clips/" in said_missing(browser)
        press(browser, Keys.ARROW_LEFT)  # what can't be seen can't be chosen
        assert text(browser, "place") == "1 of 2"
        click(browser, "skip")
        wait_for(browser, lambda: text(browser, "place") == "2 of 2", "the second question")
        said_missing(browser)
        for name in read_study(study).clips:
            study.clip(name).with_suffix(".away").rename(study.clip(name))
        click(browser, "again")
        reached(browser, "2 of 2")
        click(browser, "right")
        assert "You skipped one pair." in thanked(browser)


def test_answers_wait_for_a_server_that_is_away(browser: Chrome, study: StudyFolder) -> None:
    with serving(study) as server:
        browser.get(server.address)
        click(browser, "start")
        reached(browser, "1 of 4")
        online(browser, False)
        press(browser, Keys.ARROW_LEFT)
        reached(browser, "2 of 4")
        wait_for(browser, lambda: "have not arrived yet" in text(browser, "problem"), "a word on it")
        assert not study.answers.exists()
        online(browser, True)
        press(browser, Keys.ARROW_LEFT)
        wait_for(browser, lambda: not text(browser, "problem"), "the answers to arrive")
    assert len(study.answers.read_text().splitlines()) == 2
