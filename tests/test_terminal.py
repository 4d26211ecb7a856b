from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tsvan.terminal import counted, ending_signals, stop_signals

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


TALKS = "from tsvan.terminal import guard_output; guard_output(); import sys\n" + (
    "for _ in range(3):\n    print('λ', 'x' * 9000); sys.stdout.flush(); print('λ', file=sys.stderr)\n"
)


@pytest.mark.parametrize("output", [">&-", "2>&-", ">&- 2>&-", "> /dev/full", "> /dev/full 2> /dev/full", "| true"])
def test_output_that_nobody_can_take_ends_nothing(output: str, tmp_path: Path) -> None:
    command = f'"{sys.executable}" -c "$CODE" {output}; echo ${{PIPESTATUS[0]}} > code'
    code = f"exec({TALKS!r}); open('done', 'w').write('x')"
    subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "CODE": code, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    assert (tmp_path / "code").read_text().strip() == "0"
    assert (tmp_path / "done").read_text() == "x"  # and not what was printed: no file becomes stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_an_encoding_lacks_is_escaped(encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", TALKS], env=environment, capture_output=True, check=True)
    assert done.stdout.startswith("λ".encode() if encoding == "utf-8" else b"\\u03bb")


@pytest.mark.parametrize("ignored", [True, False])
def test_a_hangup_ends_what_does_not_ignore_it(ignored: bool) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        assert (signal.SIGHUP in ending_signals()) is not ignored
        with stop_signals() as stopped:
            os.kill(os.getpid(), signal.SIGTERM if ignored else signal.SIGHUP)
            assert stopped()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_is_answered_at_once_and_a_second_ctrl_c_ends(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_signals() as stopped:
        assert not stopped()
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped()
        assert "stopping: saving after this iteration" in capfd.readouterr().err
        os.kill(os.getpid(), signal.SIGTERM)  # as a system that shuts down may send besides: it saves all the same
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_counts_have_their_plural() -> None:
    assert [counted(n, "class") for n in (0, 1, 2_000)] == ["0 classes", "1 class", "2,000 classes"]
    assert (counted(1, "run"), counted(3, "run")) == ("1 run", "3 runs")
