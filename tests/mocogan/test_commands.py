"""`python -m tsvan --model mocogan`: what a user types, and what a user gets wrong."""

from pathlib import Path

import pytest
import yaml

from tsvan.__main__ import main
from tsvan.checkpoint import load

TINY = ["--set", "ngf=2", "--set", "ndf=2", "--set", "batch_size=2", "--device", "cpu"]


def test_train_then_sample_sixteen_frames(weizmann_store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["train", "--model", "mocogan", "--dataset", "weizmann", "--data", str(weizmann_store.path)]
    assert main([*command, "--iterations", "2", *TINY]) == 0
    run = Path("runs/train-weizmann-mocogan")
    loaded = load(run)
    assert (loaded.config.model_name, loaded.config.schedule.total, loaded.iteration) == ("mocogan", 2, 2)
    sample = ["sample", "--checkpoint", str(run), "--out", "samples", "--clips", "1", "--label", "bend"]
    assert main([*sample, "--device", "cpu"]) == 0
    assert {path.name for path in Path("samples").iterdir()} == {"bend-00000.mp4", "sheet.png"}


def test_the_config_of_a_run_names_its_model(weizmann_store, rival_config, tmp_path, capsys):
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(rival_config.to_dict()))
    command = ["train", "--dataset", "weizmann", "--data", str(weizmann_store.path), "--config", str(file)]
    assert main([*command, "--iterations", "1", "--out", str(tmp_path / "run"), "--device", "cpu"]) == 0
    assert load(tmp_path / "run").config == rival_config.with_settings({"iterations": 1})
    assert main([*command, "--model", "twostreamvan"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith("model_name is 'mocogan', but --model says 'twostreamvan'; leave one out")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "mocogen"], "--model: unknown model 'mocogen'; did you mean 'mocogan'?"),
        (["--model", "mocogan", "--set", "lambda2=5"], "unknown setting 'lambda2'"),
        (["--model", "mocogan", "--set", "num_frames=12"], "data.num_frames must be 16 or more"),
        (["--model", "mocogan", "--set", "noise_sigma=-1"], "loss.noise_sigma: input should be greater than or equal"),
        (["--set", "noise_sigma=0.1"], "unknown setting 'noise_sigma'"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--dataset", "vox", "--data", "x", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert message in said
