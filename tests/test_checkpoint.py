"""Checkpoints and the files under them: whole or absent, damage is noticed, nothing is lost silently."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tsvan import checkpoint
from tsvan.checkpoint import Checkpoint, NewerFormat
from tsvan.checkpoint_files import list_checkpoints
from tsvan.config import TrainConfig
from tsvan.files import replacing, temporary, write_atomically
from tsvan.journal import Journal
from tsvan.validation import UserError


def make(config: TrainConfig, iteration: int, size: int = 4) -> Checkpoint:
    weights = {"w": torch.full((size,), float(iteration))}
    return Checkpoint(config, iteration, ("a",), "hash", "/x", weights, {})


def saved(config: TrainConfig, folder: Path, *iterations: int) -> list[Path]:
    return [checkpoint.save(make(config, iteration), folder) for iteration in iterations]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def die(action: Callable[[], None]) -> int | None:
    """Run it in a process of its own; its exit code, -9 when it was killed."""
    process = multiprocessing.get_context("fork").Process(target=action)
    process.start()
    process.join(timeout=60)
    return process.exitcode


@pytest.mark.parametrize("damage", [flip, lambda path: path.write_bytes(path.read_bytes()[:100]), Path.unlink])
def test_damage_falls_back_with_a_line_and_total_damage_is_refused(
    damage: Callable[[Path], object], tiny_config: TrainConfig, tmp_path: Path
) -> None:
    saved(tiny_config, tmp_path, 1, 2, 3)
    files = list_checkpoints(tmp_path)
    assert [int(file.name.split(".")[0]) for file in files] == [3, 2]
    damage(files[0])
    notes: list[str] = []
    found = checkpoint.newest(tmp_path, notes.append)
    assert found is not None
    assert found.iteration == 2
    assert len(notes) == files[0].exists()
    assert all("is damaged" in note and "going back" in note for note in notes)
    flip(files[1])
    with pytest.raises(UserError, match=r"none of the \d checkpoints in .* can be read; move the folder away"):
        checkpoint.newest(tmp_path, notes.append)


def test_a_later_format_is_refused_in_words_and_no_older_checkpoint_stands_in(
    tiny_config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tiny_config, tmp_path, 1)
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    saved(tiny_config, tmp_path, 2)
    monkeypatch.undo()
    with pytest.raises(NewerFormat, match="has format 2, this program reads format 1: a later version wrote it"):
        checkpoint.newest(tmp_path)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint at"):
        checkpoint.load(tmp_path / "absent.pt")
    other = tmp_path / "other.pt"
    torch.save({"weights": 1}, other)
    with pytest.raises(UserError, match="not a checkpoint of format"):
        checkpoint.load(other)
    other.write_text("hello")
    with pytest.raises(UserError, match="cannot be read"):
        checkpoint.load(other)


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "trapped"),)

    torch.save({"format": 1, "networks": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(UserError, match="cannot be read"):
        checkpoint.load(tmp_path / "trap.pt")
    assert not (tmp_path / "trapped").exists()


def test_a_kill_while_saving_leaves_the_checkpoints_before_and_the_next_save_tidies_up(
    tiny_config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tiny_config, tmp_path, 1, 2)

    def dies_halfway() -> None:
        real = torch.save

        def half(values: object, stream: object) -> None:
            real(values, stream)  # type: ignore[arg-type]
            stream.truncate(500)  # type: ignore[attr-defined]
            os.kill(os.getpid(), signal.SIGKILL)

        torch.save = half
        saved(tiny_config, tmp_path, 3)

    assert die(dies_halfway) == -signal.SIGKILL
    found = checkpoint.newest(tmp_path)
    assert found is not None
    assert found.iteration == 2
    assert len(list(tmp_path.glob(".*.tmp"))) == 1
    saved(tiny_config, tmp_path, 3)
    assert [int(file.name.split(".")[0]) for file in list_checkpoints(tmp_path)] == [3, 2]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_is_an_os_error_and_the_checkpoints_before_stay(tiny_config: TrainConfig, tmp_path: Path) -> None:
    saved(tiny_config, tmp_path, 1, 2)
    before = sorted(tmp_path.iterdir())

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            checkpoint.save(make(tiny_config, 3, size=1_000_000), tmp_path)
        except OSError as error:
            os._exit(7 if error.errno == errno.EFBIG else 8)

    assert die(limited) == 7
    assert sorted(tmp_path.iterdir()) == before


def test_a_checkpoint_without_optimisers_reads_as_one(tiny_config: TrainConfig, tmp_path: Path) -> None:
    drop_optimizer_state = replace(make(tiny_config, 5), optimisers={})
    found = checkpoint.load(checkpoint.save(drop_optimizer_state, tmp_path))
    assert (found.iteration, found.optimisers, found.config) == (5, {}, tiny_config)
    assert torch.equal(found.networks["w"], torch.full((4,), 5.0))


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "sub" / "state.json"
    write_atomically(file, "old")

    def fails_halfway() -> None:
        with replacing(file) as half:
            half.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails_halfway()
    assert file.read_text() == "old"
    assert list(file.parent.iterdir()) == [file]


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    (tmp_path / ".state.json.999.tmp").write_text("a dead process's")
    with temporary(file) as living, replacing(file) as other:
        assert living.exists()
        other.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_journal_keeps_whole_lines_on_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    Journal(path).append(1, "train", {"loss": 1.0})
    size = path.stat().st_size

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, size + 10))
        try:
            Journal(path).append(2, "train", {"loss": 2.0})
        except OSError:
            os._exit(7)

    assert die(limited) == 7
    assert path.stat().st_size == size
    Journal(path).append(2, "train", {"loss": 2.0})
    assert [line["iteration"] for line in Journal(path).lines()] == [1, 2]


def test_a_journal_skips_what_is_no_record(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    good = json.dumps({"iteration": 1, "kind": "train", "time_ms": 0, "values": {}})
    path.write_bytes(f"{good}\n".encode() + b"\0\0\0\n" + b'{"iteration": 2, "ki\n' + good.encode())
    assert [line["iteration"] for line in Journal(path).lines()] == [1]


def test_a_journal_tells_its_last_whole_line_from_its_tail(tmp_path):
    journal = Journal(tmp_path / "metrics.jsonl")
    assert journal.last_iteration() == 0
    for iteration in range(1, 500):
        journal.append(iteration, "train", {"loss": 1.0, "other": 0.5})
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"iteration": 500, "ki')
    assert journal.last_iteration() == 499
