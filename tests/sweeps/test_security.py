"""Names can't lead out of the study, nothing on disk is executed, secrets stay out of sight, nobody listens outside."""

from __future__ import annotations

import ast
import ipaddress
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from sqlalchemy import make_url

import tune_runner
from sweeps.config.load import load
from sweeps.execution.ray_cluster import own_cluster
from sweeps.execution.slots import Slots
from sweeps.search.storage import is_sound, read_study
from sweeps.state.paths import StudyPaths
from sweeps.state.uris import (
    checked_uri,
    database_file,
    read_only_uri,
    shown_command,
    shown_uri,
    sqlite_uri,
    without_secrets,
)
from sweeps.tracking.trouble import trouble
from tests.sweeps.studies import open_queue
from tsvan.__main__ import main as trainer_main
from tsvan.checkpoint import load as load_checkpoint
from tsvan.checkpoint import save
from tsvan.checkpoint_files import list_checkpoints
from tsvan.config import TrainConfig
from tsvan.data.store import ClipStore
from tsvan.trainer import Trainer
from tsvan.validation import UserError, load_yaml

import ray  # isort: skip

ROOT = Path(tune_runner.__file__).parent
SOURCES = [file for folder in ("tsvan", "sweeps", "analysis") for file in (ROOT / folder).rglob("*.py")]
SECRET = "http://me:s3cret@127.0.0.1:9/path?token=t0ken"


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def calls(name: str) -> list[tuple[str, ast.Call]]:
    """Calls of `<module>.<name>`, as in `torch.load`."""
    module, attribute = name.split(".")
    return [
        (f"{file.name}:{node.lineno}", node)
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == attribute
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == module
    ]


@pytest.mark.parametrize(
    ("name", "option", "value"), [("torch.load", "weights_only", True), ("np.load", "allow_pickle", False)]
)
def test_every_load_refuses_pickles(name: str, option: str, value: bool) -> None:
    found = calls(name)
    assert found
    for place, call in found:
        given = {word.arg: word.value for word in call.keywords}
        assert option in given, place
        assert isinstance(given[option], ast.Constant), place
        assert given[option].value is value, place


def test_nobody_unpickles_or_evaluates() -> None:
    raw = ROOT / "tsvan" / "data" / "raw"
    own_pipes = (raw / "reader_pool.py", raw / "masks.py")  # between a process and the children that it started
    for file in SOURCES:
        if file in own_pipes:
            continue
        tree = ast.parse(file.read_text())
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not names & {"pickle", "cloudpickle", "dill", "shelve", "marshal"}, file
        called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        assert not called & {"eval", "exec", "compile"}, file


def test_a_checkpoint_with_code_in_it_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    torch.save({"format": 1, "trap": Trap(mark)}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match="cannot be read"):
        load_checkpoint(tmp_path / "evil.pt")
    assert not mark.exists()


def test_clips_with_code_in_them_are_refused_and_not_run(tmp_path: Path, weizmann_store: ClipStore) -> None:
    mark, copy = tmp_path / "ran", tmp_path / "store"
    copy.mkdir()
    for file in weizmann_store.path.iterdir():
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes())
    np.save(copy / "frames.npy", np.array([Trap(mark)], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="damaged"):
        ClipStore.open(copy)
    assert not mark.exists()
    assert pickle.loads(pickle.dumps(Trap(mark))) is None  # the trap itself works
    assert mark.exists()


@pytest.mark.parametrize("text", ["a: !!python/object/apply:os.system ['touch ran']", "a: !!python/name:os.system"])
def test_yaml_with_code_in_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match="not valid YAML"):
        load_yaml(tmp_path / "config.yaml")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--dataset", "../../vox"],
        ["--dataset", "vox", "--preset", "../smoke"],
        ["--dataset", "vox", "--preset", "smoke", "--set", "../../x=1"],
        ["--dataset", "vox", "--preset", "smoke", "--set", "space.../../x.low=1"],
        ["--dataset", "vox", "--preset", "smoke", "--set", "fixed.../x=1"],
        ["--dataset", "vox", "--preset", "smoke", "--set", "scoring.classifier.../x=1"],
        ["reproduce", "../../../x"],
        ["status", "--out", "nowhere/../.."],
    ],
)
def test_names_that_lead_elsewhere_are_wrong_use(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert tune_runner.main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_class_name_of_a_checkpoint_stays_in_the_folder(
    tmp_path: Path, tiny_config: TrainConfig, weizmann_store: ClipStore
) -> None:
    trainer = Trainer.open(tiny_config, weizmann_store, tmp_path / "run", "cpu", lambda line: None)
    evil = replace(trainer.snapshot(), classes=("../../escaped", *weizmann_store.classes[1:]))
    save(evil, tmp_path / "run" / "checkpoints")
    file = list_checkpoints(tmp_path / "run" / "checkpoints")[0]
    out = tmp_path / "a" / "b" / "clips"
    command = ["sample", "--checkpoint", str(file), "--out", str(out), "--label", "../../escaped", "--clips", "1"]
    assert trainer_main(command) == 0
    assert list(out.glob("*escaped-00000.mp4"))
    assert not list(tmp_path.rglob("escaped*"))


def test_every_folder_of_a_study_is_below_it(tmp_path: Path) -> None:
    paths, config = StudyPaths(tmp_path / "study"), load("weizmann", "smoke")[0]
    job = open_queue(config, paths).next()
    assert job is not None
    assert Path(job.folder).is_relative_to(paths.root)
    assert {file.relative_to(tmp_path).parts[0] for file in tmp_path.rglob("*")} == {"study"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (SECRET, "http://127.0.0.1:9/path"),
        ("postgresql://me:p%40ss@db:5432/mlflow?sslpassword=x", "postgresql://db:5432/mlflow"),
        ("call to https://u:p@host/api?token=abc failed", "call to https://host/api failed"),
        ("two http://a:b@one and http://c:d@two", "two http://one and http://two"),
        ("postgresql://me:pa/ss@db/mlflow", "postgresql://db/mlflow"),
        ("http://host:5000/?access-token=abc", "http://host:5000/"),
        ("see http://host/?abc, please", "see http://host/ please"),
        ("http://host:5000", "http://host:5000"),
        ("at postgresql://me:it's a secret@db/mlflow: refused", "at postgresql://db/mlflow: refused"),
        ('at postgresql://me:"quoted"@db/mlflow', "at postgresql://db/mlflow"),
        ("nothing@all", "nothing@all"),
    ],
)
def test_secrets_are_cut_out_of_addresses(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://me:it's a s3cret@db:5432/mlflow",
        'postgresql://me:"s3cret"@db:5432/mlflow',
        "postgresql://me:s3c%20ret@db:5432/mlflow",
        "postgresql://me:word@s3cret@db:5432/mlflow",
        "postgresql://me:p/s3cret@db:5432/mlflow?sslpassword=s3cret",
        "postgresql+psycopg2://db:5432/mlflow?user=me&password=s3c%27ret",
        "http://me:s3cret in words@db:5432/mlflow",
    ],
)
def test_an_address_is_read_and_not_cut_so_that_no_password_is_shown(uri: str) -> None:
    shown = shown_uri(uri)
    said = [shown, shown_command(["python", "tune_runner.py", "--tracking-uri", uri, f"--tracking-uri={uri}"])]
    said += [without_secrets(f"{uri} refused", uri)]
    assert shown.endswith("://db:5432/mlflow")
    assert not [text for text in said if "s3c" in text or "secret" in text]
    password = make_url(uri).password or make_url(uri).query["password"]
    assert str(password) not in without_secrets(f"password '{password}' is wrong", uri)


def test_databases_stay_in_the_studys_folder_whatever_it_is_called(tmp_path: Path) -> None:
    paths = StudyPaths(tmp_path / "odd ?#%20'{x}\"&=;" / "study")
    assert open_queue(load("weizmann", "smoke")[0], paths).next() is not None
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    assert len(read_study(paths).trials) == 1
    assert is_sound(paths)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before
    assert [path.name for path in tmp_path.iterdir()] == [paths.holder.name]
    assert database_file(sqlite_uri(paths.database)) == database_file(read_only_uri(paths.database)) == paths.database


def test_no_secret_reaches_terminal_or_errors(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown_uri(SECRET) == "http://127.0.0.1:9/path"
    with pytest.raises(UserError) as error:
        checked_uri("ftp://me:s3cret@host/x?token=t0ken")
    said = [str(error.value)]
    assert tune_runner.main(["--dataset", "vox", "--dry-run", "--tracking-uri", SECRET]) == 2  # no clips
    assert tune_runner.main(["reproduce", "abc", "--tracking-uri", SECRET]) == 2
    found = capsys.readouterr()
    said += [found.out, found.err, caplog.text]
    assert "127.0.0.1:9" in "".join(said)
    assert not [text for text in said if "s3cret" in text or "t0ken" in text]


def test_no_secret_is_kept_as_a_trouble_of_the_delivery() -> None:
    found = trouble(OSError(f"API request to {SECRET} failed"), SECRET)
    assert found.text == "API request to http://127.0.0.1:9/path failed"


def test_our_cluster_asks_for_a_token_and_listens_on_loopback_only() -> None:
    with own_cluster(Slots(1, 1, 0)):
        ray.get(ray.remote(lambda: os.getpid()).remote())
        assert os.environ.get("RAY_AUTH_MODE") == "token"
        folder = Path(ray._private.worker._global_node.get_temp_dir_path())
        ours = [*psutil.Process().children(recursive=True)]
        ours += [p for p in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(p.info["cmdline"] or [])]
        heard = {
            place.laddr.ip
            for process in {process.pid: process for process in [psutil.Process(), *ours]}.values()
            for place in _listening(process)
        }
    assert heard
    for address in heard:
        found = ipaddress.ip_address(address)
        mapped = getattr(found, "ipv4_mapped", None)
        assert (mapped or found).is_loopback, address


def _listening(process: psutil.Process) -> list[Any]:
    try:
        return [place for place in process.net_connections("inet") if place.status == "LISTEN"]
    except psutil.Error:  # it has ended
        return []
