"""The reader of state files, on every kind of damage."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from tsvan.state_file import DamagedFile, LaterVersion, read_state, read_text, set_aside


@dataclass(frozen=True)
class State:
    name: Literal["a", "b"]
    steps: tuple[int, ...] = ()
    values: dict[str, float] = field(default_factory=dict)


WHOLE = json.dumps({"name": "a", "steps": [1, 2], "values": {"x": 0.1 + 0.2}})
DAMAGED = {
    "empty": (b"", "it is empty"),
    "zeros after a loss of power": (bytes(512), "it is empty"),
    "cut": (WHOLE.encode()[:20], "it is not whole JSON"),
    "bytes": (b"\xff\xfe\x00", "it is not whole JSON"),
    "deep": (b"[" * 100_000, "it is not whole JSON"),
    "digits": (b"9" * 5000, "it is not whole JSON"),
    "another kind": (b"[1]", "valid dictionary"),
    "a key is missing": (b"{}", "name: Field required"),
    "a value is wrong": (b'{"name": "c"}', "name: Input should be 'a' or 'b'"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_a_line_with_the_file_and_what_to_do(case: str, tmp_path: Path) -> None:
    data, why = DAMAGED[case]
    file = tmp_path / "state.json"
    file.write_bytes(data)
    with pytest.raises(DamagedFile) as error:
        read_state(file, State, "do this")
    assert str(error.value).startswith(f"{file} is damaged (")
    assert why in error.value.why
    assert str(error.value).endswith("; do this")
    assert "\n" not in str(error.value)
    assert set_aside(file).read_bytes() == data
    assert read_state(file, State, "do this") is None


def test_a_folder_in_a_files_place_is_damage_too(tmp_path: Path) -> None:
    (tmp_path / "state.json").mkdir()
    with pytest.raises(DamagedFile, match="directory"):
        read_state(tmp_path / "state.json", State, "do this")


def test_a_whole_file_is_read_to_the_last_bit(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text(WHOLE)
    assert read_state(file, State, "") == State("a", (1, 2), {"x": 0.1 + 0.2})
    file.write_text("3.25")
    assert read_state(file, float, "") == 3.25
    assert read_state(tmp_path / "absent.json", State, "") is None
    assert read_state(file / "below a file", State, "") is None


def test_a_key_of_a_later_version_is_named_and_is_no_damage(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    values: dict[str, Any] = {**json.loads(WHOLE), "warp": 9}
    file.write_text(json.dumps(values))
    with pytest.raises(LaterVersion, match=r"state\.json has the key 'warp', which this version does not know"):
        read_state(file, State, "")
    assert read_state(file, State, "", without=["warp"]) is not None


def test_texts_for_people_are_read_as_far_as_they_are_texts(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"good\n\xff bad\n")
    assert read_text(tmp_path / "notes.txt").splitlines() == ["good", "\N{REPLACEMENT CHARACTER} bad"]
    assert read_text(tmp_path / "absent.txt") == ""
    assert read_text(tmp_path) == ""
