"""Nothing that a file or `--set` can say is a traceback: a seeded fuzzer over the YAMLs that ship and over the keys."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest
import yaml

import tune_runner
from sweeps.config.load import SHIPPED, load
from tsvan.config import TwoStreamConfig
from tsvan.data.datasets import DATASETS
from tsvan.validation import flatten

CASES = 400
VALUES = [
    "2026-02-30", "2026-11-27", "0x_", "!!int foo", "!!bool x", "!!float x", "!!timestamp x", "!!binary '*'",
    "!!set [a]", "!!map [1]", "!!omap 3", "!!python/name:os.system", "9" * 4400, f"0x{'f' * 5000}", "[" * 3000,
    "{a: " * 500, "a: &a [x,x]\nb: &b [*a,*a]", "&a [*a]", "{<<: 3}", "1e23", "-1e308", "1e999", ".nan", ".inf",
    "-.inf", str(2**62), str(2**63), str(2**64), "-1", "0", "1", "true", "no", "~", "", "''", "[]", "{}",
    "[1, 2]", "[[1], {a: 2}]", "{low: 2}", "{low: 1, high: 2, log: true}", "{values: [1, a, true, 2.5]}",
    "{values: []}", "{metric: fid}", "a\nb", "\x1b[31m", "\udc80", "λ" * 50, "x" * 50_000, "a: b: c", "'", "%",
    "@", "- 1\n- 2", "[100000000, 1, 1, 1]", "1_000", "0o17", "auto", "{iterations: 1e23}",
    "{widths: [100000000, 1, 1, 1]}", "../../x", "/dev/zero", "{1: 2}", "{? [1]: 2}", "{1e400: {2: 3}}",
]
OPTIONS = ["--trials", "--seed", "--calibrate", "--workers", "--gpus-per-trial", "--out", "--config", "--final-from"]
BOMB = "\n".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def a_key(chance: random.Random, keys: list[str]) -> str:
    key = chance.choice(keys)
    kind = chance.randrange(8)
    if kind == 0:
        return key + chance.choice([".x", ".", "..", ".0", "." * 2000, " ", "\n"])
    if kind == 1:
        return key.rpartition(".")[0] or "space"
    if kind == 2:
        place = chance.randrange(len(key))
        return key[:place] + chance.choice(string.printable) + key[place + 1 :]
    return key


def a_file(chance: random.Random, folder: Path, text: str) -> Path:
    """A config that ships with a place of it changed: a value, some characters, or a line twice."""
    kind = chance.randrange(4)
    if kind == 0:
        values = yaml.safe_load(text)
        flat = [*flatten(values)]
        *sections, name = chance.choice(flat).split(".")
        inner = values
        for section in sections:
            inner = inner[section]
        inner[name] = "MARK"
        text = yaml.safe_dump(values).replace("MARK", chance.choice(VALUES))
    elif kind == 1:
        for _ in range(chance.randrange(1, 6)):
            place = chance.randrange(len(text))
            text = text[:place] + chance.choice(string.printable + "&*!\x00\x85\ufeffé") + text[place + 1 :]
    elif kind == 2:
        lines = text.splitlines()
        lines.insert(chance.randrange(len(lines)), chance.choice(lines))
        text = "\n".join(lines)
    else:
        text = chance.choice([f"{text}\nmore: {chance.choice(VALUES)}", f"a: &a [x,x]\n{BOMB}", chance.choice(VALUES)])
    file = folder / "config.yaml"
    file.write_bytes(text.encode(errors="surrogatepass"))
    return file


def a_command(chance: random.Random, folder: Path, keys: list[str]) -> list[str]:
    dataset, kind = chance.choice(DATASETS), chance.randrange(10)
    command = ["--dataset", dataset, "--preset", chance.choice(["smoke", "dev", "paper"])]
    if kind < 6:
        for _ in range(chance.randrange(1, 4)):
            command += ["--set", f"{a_key(chance, keys)}={chance.choice(VALUES)}"]
    elif kind < 9:
        command += ["--config", str(a_file(chance, folder, (SHIPPED / f"{dataset}.yaml").read_text()))]
    else:
        command.append(f"{chance.choice(OPTIONS)}={chance.choice([v for v in VALUES if chr(0) not in v])}")
    return [*command, "--dry-run"]


@pytest.mark.parametrize("part", range(4))
def test_whatever_is_asked_for_is_a_plan_or_one_line_and_nothing_is_written(
    part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chance, (work, files) = random.Random(part), (tmp_path / "work", tmp_path / "files")
    work.mkdir()
    files.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr("sweeps.commands.dry_run.show", lambda *_: print("a plan"))
    monkeypatch.setattr("sweeps.commands.dry_run._measured", lambda _: None)  # takes seconds
    swept = list(flatten(load("weizmann")[0].to_dict()))
    names = TwoStreamConfig.setting_names()
    keys = [*swept, *(f"train.{name}" for name in names), *(f"space.{name}" for name in names)]
    refused = 0
    for number in range(CASES // 4):
        command = a_command(chance, files, keys)
        code = tune_runner.main(command)
        said = capsys.readouterr()
        planned, lines = said.out.splitlines(), said.err.splitlines()
        assert planned in ([], ["a plan"]), (number, command, planned)
        assert (code, len(lines)) == (0, 0) or code == 2, (number, command, code, lines)
        assert planned or len(lines) == 1  # a plan says all that is missing
        assert all(line.startswith("error: ") and len(line) < 1500 for line in lines)
        assert list(work.iterdir()) == [], command
        refused += not planned
    assert CASES // 4 > refused > CASES // 8  # most are wrong, and some are sound
