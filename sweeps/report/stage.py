"""Stage 5: summary, report and figures as files and in MLflow; the final model in the registry."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import yaml

from sweeps.config.schema import SweepConfig
from sweeps.config.space import describe
from sweeps.final.reruns import FinalResult
from sweeps.final.rival import Rival
from sweeps.final.seed_noise import study_noise
from sweeps.final.statistics import WITHOUT_INTERVAL, Interval, shown
from sweeps.live_table import LiveTable
from sweeps.report.content import final_sections
from sweeps.report.html import write_page
from sweeps.report.markdown import write_markdown
from sweeps.report.near_best import near_best, near_best_lines
from sweeps.report.plotted import read_trials
from sweeps.report.rival import rival_summary
from sweeps.report.samples import draw_pictures
from sweeps.report.sections import Picture
from sweeps.report.summary import summarise
from sweeps.report.tables import escaped, metrics_table
from sweeps.search.recorded_trials import trial_rows
from sweeps.state.paths import StudyPaths
from sweeps.state.record import StudyRecord
from sweeps.state.scorer_result import ScorerResult
from sweeps.state.uris import shown_uri
from sweeps.tracking.model_registry import ModelCard
from sweeps.tracking.uploader import Uploader
from tsvan.checkpoint_files import list_checkpoints
from tsvan.data.store import ClipStore
from tsvan.files import shown_path, write_atomically
from tsvan.run_config import TrainConfig
from tsvan.terminal import counted

_IN_NOTE = 4
"""Pictures that the description in MLflow begins with; a description has 5,000 characters."""


def publish(
    config: SweepConfig,
    record: StudyRecord,
    result: FinalResult | None,
    scorer: ScorerResult,
    paths: StudyPaths,
    uploader: Uploader,
    live_table: LiveTable,
    rival: Rival | None = None,
) -> int:
    """Write the results of a study and say them.

    Args:
        rival: another study whose final numbers are set beside.

    Returns:
        Exit code: 0, or 1 without a usable trial.
    """
    store = ClipStore.open(record.store)
    trials, study = trial_rows(paths, config), read_trials(paths, config)
    noise = study_noise(paths, config.objective.metric, config.num_clips("validation", store.num_classes))
    near = near_best(study, noise)
    usable = result is not None and bool(result.winner.scores)
    if result is not None and usable:
        _write_chosen(result, paths)
    model = _register(result, config, paths, uploader) if result is not None and usable else None
    beside = rival_summary(result, rival, config)
    summary = summarise(config, record, trials, result, vars(scorer), paths, model, noise, near, beside)
    pictures = draw_pictures(config, result, trials, store, paths, rival)
    title = f"{config.dataset}: study {paths.root.name}"
    where = shown_uri(uploader.uri)
    sections = final_sections(summary, result, noise, near, study, pictures, config, where, rival)
    write_markdown(title, sections, paths.report)
    write_page(title, sections, paths.page)
    doubt = near_best_lines(study, noise, near)
    _deliver(summary, result, pictures, doubt, config, uploader, paths)
    for line in _closing_lines(result, config, paths, summary):
        live_table.say(line)
    if rival is not None:
        live_table.say(f"beside {rival.folder}: {summary['rival']['verdict']}")
    return 0 if usable else 1


def _write_chosen(result: FinalResult, paths: StudyPaths) -> None:
    """Write `best.yaml`: what the numbers are about, as `--final-from` and `tsvan train` read it."""
    write_atomically(paths.chosen_config, yaml.safe_dump({**result.winner.config, "seed": 0}, sort_keys=False))


def _register(result: FinalResult, config: SweepConfig, paths: StudyPaths, uploader: Uploader) -> str | None:
    """Register the winner's first final run that completed as a model, and return its address, `models:/NAME/VERSION`.

    An earlier registration of the same run stands. None: no such run has a checkpoint, or MLflow has not taken it.
    """
    objective = config.objective
    tags = {"config": result.winner.key, "preset": config.preset, "verdict": result.verdict}
    saved = (folder for folder in result.winner.completed if list_checkpoints(folder.checkpoints))
    folder = next(saved, None)
    if folder is None:
        return None
    score = result.winner.scores.get(objective.metric)
    if score is not None:
        tags[objective.metric] = f"{score.mean:.6g}"
    card = ModelCard(
        name=uploader.model_name,
        about=_about_model(config, uploader.model_name),
        version=f"{_settings(result)}, of study {paths.root.name}. {result.verdict}",
        tags=tags,
    )
    return uploader.register(folder, list_checkpoints(folder.checkpoints)[0], card)


def _settings(result: FinalResult) -> str:
    return describe(TrainConfig.from_dict(result.winner.config))


def _about_model(config: SweepConfig, name: str) -> str:
    """Describe a registered model, whatever its version."""
    return (
        f"{config.published.title} trained on {config.dataset}: a class label in, a clip of 10 frames of 64 x 64 out "
        "(uint8). Each version is the first final run of a study's winner. Its description and tags say which; its "
        "source run says how. "
        f'`mlflow.pyfunc.load_model("models:/{name}@champion").predict(DataFrame({{"label": [0]}}))`'
    )


def _deliver(
    summary: dict[str, Any],
    result: FinalResult | None,
    pictures: list[Picture],
    doubt: list[str],
    config: SweepConfig,
    uploader: Uploader,
    paths: StudyPaths,
) -> None:
    values: dict[str, float] = {}
    if result is not None:
        values |= _final_values(config.objective.metric, result.winner.scores.get(config.objective.metric))
        rows = [("best", result.winner)] if result.same else [("best", result.winner), ("published", result.published)]
        for role, row in rows:
            values |= {f"score_{role}.{name}": cell.mean for name, cell in row.scores.items()}
    tags = {"state": "complete" if result is not None and result.winner.scores else "failed"}
    if (near := summary["near_best"]) is not None:
        values |= {"seed_noise.std": near["noise"]["std"], "seed_noise.margin": near["margin"]}
        tags |= {"near_best": ", ".join(map(str, near["trials"])), "near_best.cheapest": str(near["cheapest"])}
    if result is not None:
        tags |= {
            "verdict": result.verdict,
            "best": describe(TrainConfig.from_dict(result.winner.config)),
        }
        tags["mlflow.note.content"] = _note(result, summary, pictures[:_IN_NOTE], doubt, uploader.parent_run)
    files = [paths.page, paths.report, paths.summary, paths.choice, paths.figures, paths.chosen_config, paths.database]
    uploader.finish(values, tags, [file for file in files if file.exists()])


def _final_values(metric: str, score: Interval | None) -> dict[str, float]:
    if score is None:
        return {}
    values = {"score_mean": score.mean, "score_seeds": float(len(score.values))}
    if score.low is not None and score.high is not None and metric not in WITHOUT_INTERVAL:
        values |= {"score_low": score.low, "score_high": score.high}
    return values


def _note(result: FinalResult, summary: dict[str, Any], pictures: list[Picture], doubt: list[str], run: str) -> str:
    """Compose the description of the study's run: verdict, metrics, what the noise leaves open, the samples.

    Args:
        doubt: lines that say what the noise between seeds leaves open.
        run: id of the run, whose own artifacts the pictures are.
    """
    sheets = [picture for picture in pictures if picture.file.suffix == ".png"]
    lines = [
        f"**{result.verdict}**",
        "",
        f"Best: {describe(TrainConfig.from_dict(result.winner.config))} "
        f"({escaped(result.winner.origin)}). The whole report, with films: `report.html` under Artifacts.",
        *_model_line(summary["model"]),
        "",
        *metrics_table(result, summary),
        "",
        *(f"**{escaped(one.title)}**\n\n![sheet]({_address(one, run)})\n" for one in sheets),
        *doubt,
    ]
    return "\n".join(lines)


def _model_line(model: str | None) -> list[str]:
    """Link the registered model, `models:/NAME/VERSION`, on MLflow's own pages."""
    if model is None:
        return []
    name, version = model.removeprefix("models:/").split("/")
    return ["", f"Registered model: [{escaped(name)}, version {version}](#/models/{quote(name)}/versions/{version})"]


def _address(picture: Picture, run: str) -> str:
    """Return the address of a picture on MLflow's own pages."""
    return f"get-artifact?path={quote('figures/' + picture.file.name)}&run_uuid={run}"


def _closing_lines(
    result: FinalResult | None, config: SweepConfig, paths: StudyPaths, summary: dict[str, Any]
) -> list[str]:
    trials, near = summary["trials"], summary["near_best"]
    lines = [f"5 report: {shown_path(paths.page)}, {shown_path(paths.report)}, {shown_path(paths.summary)}"]
    if result is None or not result.winner.scores:
        if result is not None:
            failed = "; ".join(f"seed {seed}: {reason}" for seed, reason in result.winner.failed.items())
            return [*lines, f"no final run of the winner completed ({failed})"]
        states = ", ".join(f"{trial['number']}: {trial['state']} {trial['reason']}".strip() for trial in trials[:8])
        return [*lines, f"no usable trial ({states})"]
    winner = result.winner
    settings = describe(TrainConfig.from_dict(winner.config))
    metric = config.objective.metric
    score, looks = winner.scores[metric], summary["final"]
    seeds = counted(len(score.values), "seed")
    return [
        *lines,
        f"best config: {settings} ({winner.origin}), in {shown_path(paths.chosen_config)}",
        f"final score: {metric} {shown(metric, score)} over {seeds}, {result.num_clips:,} clips",
        *([] if near is None else [_near_line(near)]),
        f"looks at the sealed report group: {looks['looks']}, for {counted(looks['choices'], 'choice')}",
        f"verdict: {result.verdict}",
        f"see it: {shown_path(paths.page)} in a browser; its film is {shown_path(paths.figures / 'compared.mp4')}",
        *([_with_own_videos(config)] if summary["data_source"] == "synthetic" else []),
    ]


def _with_own_videos(config: SweepConfig) -> str:
    """Say how to go on from a study of stand-ins."""
    command = f"python tune_runner.py --dataset {config.dataset} --data-root DIR --preset dev --dry-run"
    return f"with your own videos in DIR: {command}"


def _near_line(near: dict[str, Any]) -> str:
    count = len(near["trials"])
    text = f"{count} of {near['complete']} trials can't be told from the best by the noise between seeds"
    return f"{text}; the cheapest is trial {near['cheapest']}" if count > 1 else text
