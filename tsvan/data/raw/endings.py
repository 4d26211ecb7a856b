"""The endings of file names that may be clips; whatever has another one is passed over."""

from __future__ import annotations

from pathlib import PurePosixPath

CONTAINERS = frozenset(
    {
        *(".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264", ".h265", ".hevc", ".ivf"),
        *(".m2ts", ".m2v", ".m4v", ".mj2", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf"),
        *(".nut", ".ogv", ".qt", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m"),
    }
)
"""Video files."""

ARRAY = ".npy"
ARCHIVE = ".zip"

PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Single frames."""


def ending(name: str) -> str:
    """Return the ending of a file's name, in lower case."""
    return PurePosixPath(name).suffix.lower()


def is_clip(name: str) -> bool:
    """Tell whether a file is a video, or a clip as an array, by its name."""
    return ending(name) in CONTAINERS or ending(name) == ARRAY


def without_ending(path: str) -> str:
    """Cut a clip's ending off a path; the tools that write folders of pictures give one to folders as well."""
    return str(PurePosixPath(path).with_suffix("")) if is_clip(path) else path
