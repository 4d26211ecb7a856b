"""Names of files as they can be written on one line of UTF-8."""

from __future__ import annotations

import unicodedata

_UNPRINTABLE = ("Cc", "Zl", "Zp")
"""Control characters and line breaks."""

_NOT_UTF_8 = "Cs"
"""What Python makes of bytes that are not UTF-8."""


def name_problem(file: str) -> str:
    """Tell what is wrong with the characters of a name; empty: nothing."""
    kinds = {unicodedata.category(letter) for letter in file}
    if _NOT_UTF_8 in kinds:
        return "its name is not UTF-8; rename it"
    return "its name has control characters or line breaks; rename it" if kinds & set(_UNPRINTABLE) else ""


def printable(name: str) -> str:
    """Return the name with a code for each character that can't be written."""
    odd = (_NOT_UTF_8, *_UNPRINTABLE)
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in odd else c for c in name)
