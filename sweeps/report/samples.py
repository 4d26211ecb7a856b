"""What the best configs generate, from the same latents: side by side, two videos of each class, random frames, masks.

The figures follow section C of the supplement: 2 videos for each class and 40 random frames (SynAction: 80); for
VoxCeleb, whose clips have no class, 20 videos.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sweeps.config.schema import SweepConfig
from sweeps.final.reruns import FinalResult
from sweeps.final.rival import Rival
from sweeps.report.sections import Picture
from sweeps.report.summary import ranked
from sweeps.state.paths import StudyPaths, TrialPaths
from tsvan import video
from tsvan.checkpoint import Checkpoint, load
from tsvan.checkpoint_files import list_checkpoints
from tsvan.data.batches import FrameReader
from tsvan.data.store import ClipStore
from tsvan.files import write_atomically
from tsvan.interface import implementation
from tsvan.pictures import mask_sheet, random_frames, titled_films, titled_rows
from tsvan.sampling import generate
from tsvan.scoring.groups import sample_group
from tsvan.scoring.windows import held_out_windows
from tsvan.scoring.windows import load as load_windows
from tsvan.state_file import MADE_AGAIN, read_state
from tsvan.validation import UserError
from tsvan.video import Pixels

SHOWN_TRIALS = 3
SHOWN_CLIPS = 6
_A_CLASS, _WITHOUT_CLASSES = 2, 20
_FORMAT = 2
_RIVAL = "rival"


@dataclass(frozen=True)
class _Subject:
    """A trained config: `name` of its files, `title` for people, its networks."""

    name: str
    title: str
    loaded: Checkpoint
    file: Path


@dataclass(frozen=True)
class _Shown:
    subject: _Subject
    clips: Pixels

    @property
    def loaded(self) -> Checkpoint:
        """Return the checkpoint that holds its networks."""
        return self.subject.loaded


def draw_pictures(
    config: SweepConfig,
    result: FinalResult | None,
    trials: list[dict[str, Any]],
    store: ClipStore | None,
    paths: StudyPaths,
    rival: Rival | None = None,
) -> list[Picture]:
    """Generate samples and draw pictures, on the CPU; what is there already of the same networks is not drawn again.

    Args:
        trials: rows of the summary.
        store: whose held-out clips stand beside the generated ones; None: none do.
        rival: another study, whose winner is shown, too.

    Returns:
        The pictures, in the order of the report, the film of the first screen first; empty when no network is left to
        show.
    """
    subjects = _subjects(config, result, trials, paths)
    if subjects and rival is not None:
        title = f"{rival.title} ({rival.winner.origin})"
        found = (_subject(_RIVAL, title, folder) for folder in rival.winner.completed)
        subjects += list(filter(None, found))[:1]
    if not subjects:
        return []
    names = {subject.title: subject.file.name for subject in subjects}  # a checkpoint's name has its checksum
    drawn, note = {"format": _FORMAT, "networks": names}, paths.figures / "pictures.json"
    known = read_state(note, dict[str, Any], MADE_AGAIN) or {}
    if {key: known.get(key) for key in drawn} == drawn and "pictures" in known:
        return [Picture(title, paths.figures / name) for title, name in known["pictures"]]
    note.unlink(missing_ok=True)  # what is drawn over is not what it lists
    paths.figures.mkdir(parents=True, exist_ok=True)
    shown = [_show(subject) for subject in subjects]
    pictures = [_compared(shown, store, paths), *_side_by_side(shown, paths)]
    pictures += [*_of_each(shown, result, config, paths), *_masks(shown[0], paths)]
    for name in known.get("pictures", []):
        if name[1] not in {picture.file.name for picture in pictures}:
            (paths.figures / name[1]).unlink(missing_ok=True)
    listed = [(picture.title, picture.file.name) for picture in pictures]
    write_atomically(note, json.dumps({**drawn, "pictures": listed}, indent=1))
    return pictures


def _subjects(
    config: SweepConfig, result: FinalResult | None, trials: list[dict[str, Any]], paths: StudyPaths
) -> list[_Subject]:
    """List the winner and the published row by their final runs, then the best trials of the sweep."""
    found: list[_Subject] = []
    rows = [] if result is None else [result.winner] if result.same else [result.winner, result.published]
    for row in rows:
        subjects = (_subject(row.role, f"{row.role} ({row.origin})", folder) for folder in row.completed)
        found += list(filter(None, subjects))[:1]
    there = {row.trial for row in rows}
    for trial in ranked(trials, config)[:SHOWN_TRIALS]:
        number = trial["number"]
        if number not in there:
            subject = _subject(f"trial-{number:03d}", f"trial {number}", paths.trial(number))
            found += [subject] if subject is not None else []
    return found


def _subject(name: str, title: str, folder: TrialPaths) -> _Subject | None:
    """Load the newest sound networks of a run; None: there are none. A damaged file costs a picture, not the report."""
    for file in list_checkpoints(folder.checkpoints):
        with suppress(UserError):
            return _Subject(name, title, load(file), file)
    return None


def _show(subject: _Subject) -> _Shown:
    loaded = subject.loaded
    seeds, labels = _latents(len(loaded.classes))
    networks = loaded.build_networks(torch.device("cpu"))
    clips = torch.cat([*generate(networks, seeds, labels, precision=loaded.config.precision)])
    return _Shown(subject, video.to_uint8(clips))


def _latents(num_classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the seeds and labels at the beginning of the validation group: what selection has seen anyway."""
    group = sample_group("validation", num_classes, _A_CLASS * num_classes if num_classes > 1 else _WITHOUT_CLASSES)
    return group.seeds, group.labels


def _compared(shown: list[_Shown], store: ClipStore | None, paths: StudyPaths) -> Picture:
    """Film held-out clips, the winner and the published row side by side; without a final stage the best trial."""
    rivals = [one for one in shown if one.subject.name in ("best", "published", _RIVAL)] or shown[:1]
    count = min(SHOWN_CLIPS, len(shown[0].clips))
    films = [(one.subject.title, one.clips[:count]) for one in rivals]
    titles = " and ".join(one.subject.title for one in rivals)
    if store is not None:
        _, labels = _latents(len(shown[0].loaded.classes))
        name = "drawn stand-ins" if store.data_source == "synthetic" else "real"
        films.insert(0, (f"{name}, held out", _held_out(store, labels[:count])))
        titles = f"{films[0][0].capitalize()}, {titles}"
    film = paths.figures / "compared.mp4"
    video.write_mp4(film, titled_films(films, columns=3))
    return Picture(f"{titles}; generated from the same latents, of the same classes", film)


def _held_out(store: ClipStore, labels: NDArray[np.int64]) -> Pixels:
    """Read a held-out clip for each label, (N, T, H, W, 3); of a class with too few windows some come twice, of one
    with none another class's stand in."""
    windows = held_out_windows(store)
    chosen = []
    for place, label in enumerate(labels):
        of_class = [window for window in windows if window.clip.label == label] or windows
        nth = int((labels[:place] == label).sum())
        chosen.append(of_class[nth * max(len(of_class) // 2, 1) % len(of_class)])
    return video.to_uint8(load_windows(FrameReader(store, "cpu"), chosen))


def _side_by_side(shown: list[_Shown], paths: StudyPaths) -> list[Picture]:
    count = min(SHOWN_CLIPS, len(shown[0].clips))
    classes = shown[0].loaded.classes
    rows = [
        (f"{_word(classes, number)}: {one.subject.title}" if one is shown[0] else one.subject.title, one.clips[number])
        for number in range(count)
        for one in shown
    ]
    sheet, film = paths.figures / "same_latents.png", paths.figures / "same_latents.mp4"
    video.write_png(sheet, titled_rows(rows))
    video.write_mp4(film, titled_films([(one.subject.title, one.clips[:count]) for one in shown], columns=2))
    return [
        Picture("The same latents in every config, side by side", film),
        Picture("The same latents in every config, a clip a row", sheet),
    ]


def _of_each(shown: list[_Shown], result: FinalResult | None, config: SweepConfig, paths: StudyPaths) -> list[Picture]:
    """Draw the supplement's figures: of winner and published row, or without a final stage of the best trial."""
    names = {_RIVAL, *({"published", result.winner.role} if result is not None else {shown[0].subject.name})}
    pictures = []
    for one in shown:
        if one.subject.name not in names:
            continue
        order = np.argsort(np.arange(len(one.clips)) % len(one.loaded.classes), kind="stable")
        film, sheet, frames = (paths.figures / f"{one.subject.name}_{name}" for name in _NAMES)
        what = f"{_A_CLASS} videos for each class" if len(one.loaded.classes) > 1 else f"{len(one.clips)} videos"
        count = config.rules.random_frames
        video.write_mp4(film, video.mosaic(one.clips[order], 10), scale=2)
        video.write_png(sheet, titled_rows([(_word(one.loaded.classes, n), one.clips[n]) for n in order]))
        video.write_png(frames, random_frames(one.clips, count))
        pictures += [
            Picture(f"{one.subject.title}: {what}", film),
            Picture(f"{one.subject.title}: {what}, a clip a row", sheet),
            Picture(f"{one.subject.title}: {min(count, len(one.clips) * 10)} random frames", frames),
        ]
    return pictures


_NAMES = ("videos.mp4", "videos.png", "frames.png")


def _masks(best: _Shown, paths: StudyPaths) -> list[Picture]:
    """Draw the motion masks of the best one's first clip; nothing where its model has none."""
    seeds, labels = _latents(len(best.loaded.classes))
    model, networks = implementation(best.loaded.config.model_name), best.loaded.build_networks(torch.device("cpu"))
    shown = model.motion_masks(networks, seeds[:1], labels[:1])
    if shown is None or not shown[1]:
        return []
    clips, masks = shown
    file = paths.figures / "masks.png"
    video.write_png(file, mask_sheet(video.to_uint8(clips)[0], {pixels: values[0] for pixels, values in masks.items()}))
    return [Picture(f"{best.subject.title}: motion masks by scale, white where the content is moved", file)]


def _word(classes: tuple[str, ...], number: int) -> str:
    return classes[number % len(classes)] if len(classes) > 1 else f"clip {number + 1}"
