"""Whole jobs that say how far to trust each score: columns, manifest, messages and views; and the same when resumed."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from batch_scorer import open_run
from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import OptionError, OutputError
from batch_scorer.models.calibration import ConfidenceCurve
from batch_scorer.models.profile import measure
from batch_scorer.models.unusual import REASONS
from batch_scorer.report.build import build_findings
from batch_scorer.report.caveats import CARD, Agreement, Decisions
from batch_scorer.report.page import render
from batch_scorer.report.question import Question
from batch_scorer.report.sentences import headlines
from batch_scorer.runners.job import plan_job
from tests.cli.test_main import run
from tests.conftest import FORMAT_2, REVIEWS, save_tiny
from tests.jobs import part_bytes, rows, score_here

ROOT = Path(__file__).parents[2]
# The labels of all but the least sure are right: 0.95 of them from a confidence of 0.55 on.
CURVE = ConfidenceCurve((0.5, 0.55, 0.6), (100, 100, 100), (50, 95, 98))
# Twelve words each, one of them unknown.
USUAL = measure(*(np.full(400, n) for n in (12, 12, 1)), np.full(400, 0.5))
# Texts, and what is unusual about them.
ODD = {
    **dict.fromkeys((text for name, text in REVIEWS if name in ("r1", "r2", "r3", "r6")), "short"),
    REVIEWS[3][1]: "long",
    REVIEWS[4][1]: "short,unknown words",
    "not very good and not bad": "short",
    "the plot and the minutes": "short",
    "слово и слово film": "short,other script",
    "a wonderful film and the plot was not boring and not very bad": "",
}
TEXTS = [*ODD]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with reviews, and a tiny model that knows how often it was right."""
    folder = tmp_path_factory.mktemp("caveats")
    save_tiny(folder / "model", 4, **{**FORMAT_2, "confidence_curve": CURVE, "training_profile": USUAL})
    lines = [json.dumps({"id": f"r{at}", "text": text, "decided": at}) for at, text in enumerate(TEXTS)]
    (folder / "in.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def config(made: Path) -> Callable[..., ScoreConfig]:
    def make(name: str, **options: Any) -> ScoreConfig:
        shared = {
            "model": str(made / "model"),
            "id_column": "id",
            "shard_rows": 4,
            "workers": 1,
            "run_id": name,
            "no_text_hash": True,
        }
        shared |= {"inputs": [str(made / "in.jsonl")], "output": str(made / name)}
        return ScoreConfig.of(**{**shared, **options})

    return make


@pytest.fixture(scope="module")
def outputs(made: Path, config: Callable[..., ScoreConfig]) -> dict[str, Path]:
    """The output of a run that was asked for caveats, and of one that was not."""
    for name, options in {"plain": {}, "asked": {"target_accuracy": 0.95, "unusual": True}}.items():
        score_here(config(name, **options))
    return {name: made / name for name in ("plain", "asked")}


def test_rows_say_whether_they_are_decided_and_nothing_else_changes(outputs: dict[str, Path]) -> None:
    plain, asked = (rows(outputs[name]) for name in ("plain", "asked"))
    expected = [
        {
            **{**row, "decided": max(row["probability"], 1 - row["probability"]) >= 0.55, "run_id": "asked"},
            "unusual": ODD[TEXTS[int(row["record_id"][1:])]],
        }
        for row in plain
    ]
    assert {True, False} == {row["decided"] for row in expected}
    assert expected == asked
    schema = pq.read_schema(outputs["asked"] / "predictions/part-00000.parquet")
    assert ["temperature", "decided", "unusual", "model_id", "run_id"] == schema.names[-5:]
    assert (b"4", b"2") == tuple(
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
    assert (True, 4) == (plan["unusual"], manifest["schema_version"])
    assert ["decided", "unusual"] == manifest["columns"][-4:-2]
    usual = {"fewest_words": 10, "most_words": 24, "unknown_words": 0.1, "scripts": ["Latin"]}
    reasons = Counter(reason for text in TEXTS for reason in ODD[text].split(",") if reason)
    assert {
        "usual": usual,
        "reviews": len(TEXTS) - 1,
        "reasons": {name: reasons[name] for name in REASONS},
    } == manifest["unusual"]
    assert reasons.keys() == {*REASONS}
    for name in ("manifest", "plan"):
        document = (outputs["plain"] / f"{name}.json").read_text()
        assert not {"certainty", "target_accuracy", "unusual"} & json.loads(document).keys()


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
    shown = " ".join(run("inspect", str(outputs["asked"])).stdout.split())
    assert f"{len(TEXTS) - 1} reviews (90.0%): 8 short, 1 long, 1 unknown words, 1 other script" in shown
    assert f"{certainty['undecided']} undecided" in shown and "max(p, 1 - p) is at least 0.55" in shown
    assert "undecided" not in run("inspect", str(outputs["plain"])).stdout


def test_run_is_resumed_to_the_same_bytes_and_with_the_same_target_only(
    outputs: dict[str, Path], config: Callable[..., ScoreConfig], tmp_path: Path
) -> None:
    copy = tmp_path / "asked"
    shutil.copytree(outputs["asked"], copy)
    before = json.loads((copy / "manifest.json").read_text())
    for name in ("manifest.json", "_SUCCESS", "shards/00001.json", "predictions/part-00001.parquet"):
        (copy / name).unlink()
    again = config("asked", target_accuracy=0.95, unusual=True, resume=True, output=str(copy))
    now = score_here(again)
    assert [before[name] for name in ("certainty", "unusual")] == [now[name] for name in ("certainty", "unusual")]
    assert part_bytes(outputs["asked"]) == part_bytes(copy)
    with pytest.raises(OutputError) as refused:
        score_here(again.with_options(target_accuracy=0.9))
    assert "--target-accuracy was 0.95 and is now 0.9" == refused.value.got
    with pytest.raises(OutputError) as refused:
        score_here(again.with_options(target_accuracy=None))
    assert "--target-accuracy was 0.95 and is now None" == refused.value.got
    with pytest.raises(OutputError) as refused:
        score_here(again.with_options(unusual=False))
    assert "--unusual was True and is now None" == refused.value.got


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
    with pytest.raises(OptionError, match="already has a column 'Unusual'"):
        plan_job(config("kept", kept=(Kept("decided", "Unusual"),), unusual=True))


def test_card_of_the_shipped_model_says_the_accuracies_that_the_report_repeats() -> None:
    card = json.loads((ROOT / "docs/model_card/checks.json").read_text())
    page, (known,) = (ROOT / "docs/model_card.md").read_text(), CARD.values()
    assert [card["model"]["id"]] == [*CARD] and {*REASONS} == known.keys()
    for reason, domain in (("short", "airline"), ("other script", "nsmc")):
        assert known[reason].startswith(f"{card['domains'][domain]['balanced_accuracy']:.1%} of ")
    for reason, row in (("long", "| words | 500+ |"), ("unknown words", "| unknown words | 15+ % |")):
        accuracy = re.search(rf"^{re.escape(row)} [^|]*\| (\S+) ", page, re.MULTILINE)
        assert accuracy is not None and known[reason].startswith(f"{float(accuracy[1]):.1%} of ")


def test_report_counts_the_decided_and_how_many_are_right(
    config: Callable[..., ScoreConfig], outputs: dict[str, Path], made: Path, tmp_path: Path
) -> None:
    truth = ["positive", "negative", *[""] * (len(TEXTS) - 2)]
    lines = [json.dumps({"id": at, "text": text, "truth": truth[at]}) for at, text in enumerate(TEXTS)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    labelled = config("labelled", inputs=[str(tmp_path / "in.jsonl")], kept=(Kept("truth", "truth"),))
    score_here(labelled.with_options(target_accuracy=0.95, unusual=True, output=str(tmp_path / "out")))
    found = build_findings(Question(str(tmp_path / "out"), label_column="truth"))
    first = [row for row in rows(tmp_path / "out")[:2] if row["decided"]]
    certainty = json.loads((tmp_path / "out/manifest.json").read_text())["certainty"]
    right = sum(row["predicted_label"] == row["truth"] for row in first)
    counts = (certainty["positive"], certainty["negative"], certainty["undecided"])
    assert Decisions(0.95, 0.55, 0.965, *counts, Agreement(len(first), right)) == found.caveats.decisions
    assert f"{right / len(first):.1%} of the decided labels are right" in " ".join(headlines(found))
    assert f"{certainty['undecided']} are undecided" in " ".join(render(found).decode().split())
    unusual = found.caveats.unusual
    assert unusual is not None and (len(TEXTS) - 1, {}) == (unusual.reviews, {**unusual.known})
    short = [row for row in rows(tmp_path / "out")[:2] if "short" in row["unusual"]]
    agreement = Agreement(len(short), sum(row["predicted_label"] == row["truth"] for row in short))
    assert (("short", 8, agreement), ("long", 1, Agreement(0, 0))) == unusual.reasons[:2]
    assert {review.record_id: review.unusual for review in found.reviews} == {
        f"{at}": ODD[text].replace(",", ", ") for at, text in enumerate(TEXTS)
    }
    assert '"unusual":"short, unknown words"' in render(found).decode()
    plain = build_findings(Question(str(outputs["plain"])))
    assert plain.caveats.decisions is None and plain.caveats.unusual is None and b"undecided" not in render(plain)
