from __future__ import annotations

import os
import pty
import subprocess
import sys

CODE = """
from tsvan.terminal import progress
with progress("nothing to do"):
    pass
with progress("work") as move:
    for done in range(4):
        move(done + 1, 4)
"""


def on_a_terminal(code: str) -> str:
    """What a program writes to a terminal."""
    outer, inner = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    subprocess.run([sys.executable, "-c", code], stdout=inner, stderr=inner, check=True, env=environment)
    os.close(inner)
    text = b""
    try:
        while part := os.read(outer, 65536):
            text += part
    except OSError:  # the end, on Linux
        pass
    os.close(outer)
    return text.decode()


def test_a_bar_is_there_when_there_is_work() -> None:
    text = on_a_terminal(CODE)
    assert "nothing to do" not in text
    assert "4/4" in text
    assert "work" in text
