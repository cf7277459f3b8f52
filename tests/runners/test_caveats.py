"""Whole jobs that say how far to trust each score: columns, manifest, messages and views; and the same when resumed."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from batch_scorer import open_run
from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import OptionError, OutputError
from batch_scorer.models.calibration import ConfidenceCurve
from batch_scorer.report.build import build_findings
from batch_scorer.report.caveats import Agreement, Decisions
from batch_scorer.report.page import render
from batch_scorer.report.question import Question
from batch_scorer.report.sentences import headlines
from batch_scorer.runners.job import plan_job
from tests.cli.test_main import run
from tests.conftest import FORMAT_2, REVIEWS, save_tiny
from tests.jobs import part_bytes, rows, score_here

# The labels of all but the least sure are right: 0.95 of them from a confidence of 0.55 on.
CURVE = ConfidenceCurve((0.5, 0.55, 0.6), (100, 100, 100), (50, 95, 98))
TEXTS = [*(text for _, text in REVIEWS), "not very good and not bad", "the plot and the minutes", "a wonderful film"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with reviews, and a tiny model that knows how often it was right."""
    folder = tmp_path_factory.mktemp("caveats")
    save_tiny(folder / "model", 4, **{**FORMAT_2, "confidence_curve": CURVE})
    lines = [json.dumps({"id": f"r{at}", "text": text, "decided": at}) for at, text in enumerate(TEXTS)]
    (folder / "in.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def config(made: Path) -> Callable[..., ScoreConfig]:
    def make(name: str, **options: Any) -> ScoreConfig:
        shared = {"model": str(made / "model"), "id_column": "id", "shard_rows": 4, "workers": 1, "run_id": name}
        shared |= {"inputs": [str(made / "in.jsonl")], "output": str(made / name)}
        return ScoreConfig.of(**{**shared, **options})

    return make


@pytest.fixture(scope="module")
def outputs(made: Path, config: Callable[..., ScoreConfig]) -> dict[str, Path]:
    """The output of a run that was asked for caveats, and of one that was not."""
    for name, options in {"plain": {}, "asked": {"target_accuracy": 0.95}}.items():
        score_here(config(name, **options))
    return {name: made / name for name in ("plain", "asked")}


def test_rows_say_whether_they_are_decided_and_nothing_else_changes(outputs: dict[str, Path]) -> None:
    plain, asked = (rows(outputs[name]) for name in ("plain", "asked"))
    expected = [
        {**row, "decided": max(row["probability"], 1 - row["probability"]) >= 0.55, "run_id": "asked"} for row in plain
    ]
    assert {True, False} == {row["decided"] for row in expected}
    assert expected == asked
    schema = pq.read_schema(outputs["asked"] / "predictions/part-00000.parquet")
    assert ["temperature", "decided", "model_id", "run_id"] == schema.names[-4:]
    assert (b"3", b"2") == tuple(
        pq.read_schema(outputs[name] / "predictions/part-00000.parquet").metadata[b"schema_version"]
        for name in ("asked", "plain")
    )


def test_manifest_and_plan_say_what_was_asked_and_how_many_rows_say_what(outputs: dict[str, Path]) -> None:
    manifest, plan = (json.loads((outputs["asked"] / f"{name}.json").read_text()) for name in ("manifest", "plan"))
    counts = Counter(row["predicted_label"] if row["decided"] else "undecided" for row in rows(outputs["asked"]))
    validation = {"expected_accuracy": 0.965, "expected_share": 0.6667, "validation_reviews": 300}
    asked = {"target_accuracy": 0.95, "threshold": 0.55}
    assert {**asked, **validation, **dict.fromkeys(("positive", "negative", "undecided"), 0), **counts} == (
        manifest["certainty"]
    )
    assert (0.95, 0.55) == (plan["target_accuracy"], plan["certainty"])
    assert (3, "decided") == (manifest["schema_version"], manifest["columns"][-3])
    for name in ("manifest", "plan"):
        document = (outputs["plain"] / f"{name}.json").read_text()
        assert not {"certainty", "target_accuracy"} & json.loads(document).keys()


def test_views_count_positive_negative_and_undecided(outputs: dict[str, Path]) -> None:
    with duckdb.connect() as db:
        open_run(outputs["asked"]).to_duckdb(db)
        (row,) = db.sql("select columns('target_accuracy|certainty|decided_.*|undecided') from runs").fetchall()
        (counted,) = db.sql("""
            select 0.95::double, 0.55::double, count_if(decided and predicted_label = 'positive'),
                count_if(decided and predicted_label = 'negative'), count_if(not decided)
            from predictions
        """).fetchall()
    assert counted == row
    printed = run("sql", str(outputs["plain"]), str(outputs["asked"])).stdout
    with duckdb.connect() as db:
        db.execute(printed)
        found = db.sql("select run_id, undecided is null, count_if(decided is null) from runs join predictions "
                       "using (run_id) group by all order by 1").fetchall()  # fmt: skip
    assert [("asked", False, 0), ("plain", True, len(TEXTS))] == found


def test_commands_show_how_many_are_decided(outputs: dict[str, Path]) -> None:
    certainty = json.loads((outputs["asked"] / "manifest.json").read_text())["certainty"]
    shown = run("inspect", str(outputs["asked"])).stdout
    assert f"{certainty['undecided']} undecided" in shown and "max(p, 1 - p) is at least 0.55" in shown
    assert "undecided" not in run("inspect", str(outputs["plain"])).stdout


def test_run_is_resumed_to_the_same_bytes_and_with_the_same_target_only(
    outputs: dict[str, Path], config: Callable[..., ScoreConfig], tmp_path: Path
) -> None:
    copy = tmp_path / "asked"
    shutil.copytree(outputs["asked"], copy)
    before = json.loads((copy / "manifest.json").read_text())["certainty"]
    for name in ("manifest.json", "_SUCCESS", "shards/00001.json", "predictions/part-00001.parquet"):
        (copy / name).unlink()
    again = config("asked", target_accuracy=0.95, resume=True, output=str(copy))
    assert before == score_here(again)["certainty"]
    assert part_bytes(outputs["asked"]) == part_bytes(copy)
    with pytest.raises(OutputError) as refused:
        score_here(again.with_options(target_accuracy=0.9))
    assert "--target-accuracy was 0.95 and is now 0.9" == refused.value.got
    with pytest.raises(OutputError) as refused:
        score_here(again.with_options(target_accuracy=None))
    assert "--target-accuracy was 0.95 and is now None" == refused.value.got


def test_model_that_cannot_say_is_refused_before_anything_is_written(
    config: Callable[..., ScoreConfig], tiny_model: Path, tmp_path: Path
) -> None:
    old = config("none", model=str(tiny_model), target_accuracy=0.95, output=str(tmp_path / "none"))
    with pytest.raises(OptionError, match="does not say how often it is right"):
        score_here(old)
    with pytest.raises(OptionError, match="show such an accuracy"):
        score_here(old.with_options(model=config("none").scoring.model, target_accuracy=0.999))
    assert not (tmp_path / "none").exists()


def test_kept_column_may_have_the_name_of_one_that_was_not_asked_for(config: Callable[..., ScoreConfig]) -> None:
    kept = (Kept("decided", "decided"),)
    plan_job(config("kept", kept=kept))
    with pytest.raises(OptionError, match="already has a column 'decided'"):
        plan_job(config("kept", kept=kept, target_accuracy=0.95))


def test_report_counts_the_decided_and_how_many_are_right(
    config: Callable[..., ScoreConfig], outputs: dict[str, Path], made: Path, tmp_path: Path
) -> None:
    truth = ["positive", "negative", *[""] * (len(TEXTS) - 2)]
    lines = [json.dumps({"id": at, "text": text, "truth": truth[at]}) for at, text in enumerate(TEXTS)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    labelled = config("labelled", inputs=[str(tmp_path / "in.jsonl")], kept=(Kept("truth", "truth"),))
    score_here(labelled.with_options(target_accuracy=0.95, output=str(tmp_path / "out")))
    found = build_findings(Question(str(tmp_path / "out"), label_column="truth"))
    first = [row for row in rows(tmp_path / "out")[:2] if row["decided"]]
    certainty = json.loads((tmp_path / "out/manifest.json").read_text())["certainty"]
    right = sum(row["predicted_label"] == row["truth"] for row in first)
    counts = (certainty["positive"], certainty["negative"], certainty["undecided"])
    assert Decisions(0.95, 0.55, 0.965, *counts, Agreement(len(first), right)) == found.caveats.decisions
    assert f"{right / len(first):.1%} of the decided labels are right" in " ".join(headlines(found))
    assert f"{certainty['undecided']} are undecided" in " ".join(render(found).decode().split())
    plain = build_findings(Question(str(outputs["plain"])))
    assert plain.caveats.decisions is None and b"undecided" not in render(plain)
