"""One clip on disk -> square RGB frames of the store's side, or the reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path as FilePath

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from tsvan.data.config import PrepareConfig
from tsvan.data.datasets import MIN_FRAMES, DatasetRules
from tsvan.data.raw import limits
from tsvan.data.raw.boxes import Boxes, LeftOutError, Path
from tsvan.data.raw.centring import How, centre
from tsvan.data.raw.footage import Footage, Frames, UnreadableError, open_footage
from tsvan.data.raw.limits import in_words
from tsvan.data.raw.listing import Candidate
from tsvan.data.raw.rates import believed_rate
from tsvan.data.splits import Source, cut

SHOT = 142
"""Pixels, side of a picture on the sheet of `data inspect`."""

_SHOTS = 3


@dataclass(frozen=True)
class Request:
    """A clip to read.

    Args:
        rules: the dataset.
        folder: the source folder.
        candidate: the clip.
        config: how it is centred.
        masks: the actor's box in each frame, where the dataset has masks of it.
        keep_frames: bring the frames back; else only what is known of them.
        shots: bring pictures of the uncut frames back.
    """

    rules: DatasetRules
    folder: FilePath
    candidate: Candidate
    config: PrepareConfig
    masks: Boxes | None = None
    keep_frames: bool = True
    shots: bool = False


@dataclass(frozen=True)
class Reading:
    """A clip that was read.

    Args:
        source: what the split needs to know.
        how: how it was centred.
        path: (1 or F, 3) left, top, edge of the square in the uncut frames.
        frames: (F, S, S, 3) uint8, RGB, in order; a few of them when all are not asked for.
        before: uncut frames with the square drawn in, (N, 142, 142, 3); empty when not asked for.
        size: (width, height) of the uncut frames.
        note: what the user should know of it; mostly empty.
    """

    source: Source
    how: How
    path: Path
    frames: Frames
    before: Frames
    size: tuple[int, int] = (0, 0)
    note: str = ""


@dataclass(frozen=True)
class Refusal:
    """A clip that is not used; `bad`: it counts among the files that cannot be used."""

    file: str
    reason: str
    bad: bool


def read(request: Request) -> Reading | Refusal:
    """Read, centre, cut and reduce one clip. What goes wrong with it is its own: the others go on."""
    try:
        return _read(request)
    except LeftOutError as error:
        return Refusal(request.candidate.file, str(error), bad=False)
    except UnreadableError as error:
        return Refusal(request.candidate.file, str(error), bad=True)
    except MemoryError:
        reason = f"takes more than {in_words(limits.MAX_MEMORY_BYTES)} of memory; cut it into shorter clips"
        return Refusal(request.candidate.file, reason, bad=True)
    except Exception as error:
        # One odd file among thousands must not end hours of work; were it a fault of ours, all files would show it.
        reason = " ".join(f"cannot be read: {type(error).__name__}: {error}".split())
        return Refusal(request.candidate.file, reason, bad=True)


def reduce(footage: Footage, path: Path, side: int) -> Frames:
    """Cut a square out of each frame and resize it once, to (F, S, S, 3).

    Pillow's bilinear filter widens with the reduction, so it is antialiased (plain bilinear sampling, as the release
    uses, skips pixels when it reduces); it has no negative lobes, so it rings at no edge.

    Raises:
        UnreadableError: damaged, or the frames change their size where that matters.
    """
    cut_out = []
    for number, frame in enumerate(footage.frames()):
        if frame.shape[:2] != footage.size[::-1]:
            size = (frame.shape[1], frame.shape[0])
            raise UnreadableError(f"frame {number} is {size} pixels, the first one {footage.size}")
        left, top, edge = path[min(number, len(path) - 1)]
        box = (float(left), float(top), float(left + edge), float(top + edge))
        cut_out.append(np.asarray(Image.fromarray(frame).resize((side, side), Image.Resampling.BILINEAR, box=box)))
    return np.stack(cut_out) if cut_out else np.zeros((0, side, side, 3), dtype=np.uint8)


def _read(request: Request) -> Reading:
    found, candidate = request.rules, request.candidate
    footage, sha256 = open_footage(
        request.folder, candidate.file, found.npy_axes, candidate.archive, candidate.pictures
    )
    path, how = centre(found, footage, _is_crop(candidate, footage.size), request.masks, request.config)
    frames = reduce(footage, path, found.side)
    # Pictures have no header: their own rate is what they have when their name says nothing.
    header = None if candidate.pictures and candidate.identity.seconds else footage.rate
    rate, note = believed_rate(header, len(frames), candidate.identity, candidate.layout)
    source = Source(candidate.file, candidate.identity, len(frames), rate, sha256)
    _check_length(found, source)
    before = _shots(footage, path, len(frames)) if request.shots else np.zeros((0, SHOT, SHOT, 3), dtype=np.uint8)
    if not request.keep_frames:
        step = found.frame_step(candidate.identity.class_name, rate)
        frames = frames[:: step if len(frames) > step * MIN_FRAMES else 1][:MIN_FRAMES] if request.shots else frames[:0]
    return Reading(source, how, path, frames, before, footage.size, note)


def _is_crop(candidate: Candidate, size: tuple[int, int]) -> bool:
    """Tell crops by what they are, whatever their size: `.npy` clips, and pictures and square files named as crops."""
    if candidate.file.lower().endswith(".npy"):
        return True
    cropped = candidate.layout is not None and candidate.layout.cropped
    return cropped and (bool(candidate.pictures) or size[0] == size[1])


def _check_length(found: DatasetRules, source: Source) -> None:
    if source.num_frames < MIN_FRAMES:
        raise UnreadableError(f"too short: {source.num_frames} frames, a window needs {MIN_FRAMES}")
    if source.identity.index is None and source.num_frames < found.shortest_take:
        raise LeftOutError(f"{source.num_frames} frames; takes of fewer than {found.shortest_take} are not used")
    longest = max(part.num_frames for part in cut(found, [source]))
    if longest < MIN_FRAMES:
        reason = f"the longest part has {longest}, a window needs {MIN_FRAMES}"
        raise UnreadableError(f"too short: {source.num_frames} frames, {reason}")


def _shots(footage: Footage, path: Path, num_frames: int) -> npt.NDArray[np.uint8]:
    """Draw a few uncut frames, made to fit, with the square that is cut out."""
    every = max(1, num_frames // _SHOTS)
    scale = SHOT / max(footage.size)
    shots = []
    for number, frame in enumerate(footage.frames(every=every)):
        if number == _SHOTS:
            break
        small = Image.fromarray(frame).resize((round(frame.shape[1] * scale), round(frame.shape[0] * scale)))
        left, top, edge = path[min(number * every, len(path) - 1)] * scale
        ImageDraw.Draw(small).rectangle((left, top, left + edge - 1, top + edge - 1), outline=(255, 210, 0))
        card = Image.new("RGB", (SHOT, SHOT))
        card.paste(small, ((SHOT - small.width) // 2, (SHOT - small.height) // 2))
        shots.append(np.asarray(card))
    return np.stack(shots)
