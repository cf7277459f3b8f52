"""What commands print with --json: one object on standard output, which fits its schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from batch_scorer.cli.main import main
from batch_scorer.config import ScoreConfig
from batch_scorer.runs.caveats import CAVEATS
from batch_scorer.runs.schemas import documents
from tests.finished_runs import Original

MakeConfig = Callable[..., ScoreConfig]


def command(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def printed(result: Result, schema: str) -> dict[str, Any]:
    """The one line of standard output, which has to fit a schema, and has no field that the schema lacks."""
    (line,) = result.stdout.splitlines()
    document: dict[str, Any] = json.loads(line)
    described = documents()[f"{schema}.json"]
    Draft202012Validator.check_schema(described)
    Draft202012Validator(described).validate(document)
    shapes = [one["properties"].keys() for one in described.get("oneOf", [described])]
    asked_for = {*CAVEATS} - document.keys()  # which are there with options only
    assert document.keys() in [shape - asked_for for shape in shapes]
    return document


@pytest.fixture
def words(reviews_file: Path, tiny_model: Path, tmp_path: Path) -> tuple[object, ...]:
    """A `score` of six reviews."""
    return "score", reviews_file, "--output", tmp_path / "out", "--model", tiny_model, "--id-column", "id"


def test_dry_run_prints_its_plan_with_times_and_costs_on_this_machine(
    words: tuple[object, ...], tmp_path: Path
) -> None:
    result = command(*words, "--dry-run", "--json", "--price-per-vcpu-hour", "3600")

    plan = printed(result, "dry_run")
    assert (0, "", False) == (result.exit_code, result.stderr, (tmp_path / "out").exists())
    assert (6, False, 1, "id", "local") == tuple(
        plan[name] for name in ("reviews", "estimated", "shards", "id_column", "runner")
    )
    estimate = plan["estimate"]
    assert ("this machine", 1) == (estimate["where"], estimate["processes"])
    assert estimate["total_s"] == pytest.approx(estimate["start_s"] + 6 / estimate["reviews_per_s"])
    assert estimate["cost"] == pytest.approx(estimate["total_s"])  # a process for a second costs 1
    assert [1, 0] == [plan["inputs"][0]["files"], plan["unreadable"]]


def test_dry_run_for_people_has_the_cost_on_this_machine_too(words: tuple[object, ...]) -> None:
    assert "at the given price" not in command(*words, "--dry-run").output
    assert "1 process, 0.00 at the given price" in command(*words, "--dry-run", "--price-per-vcpu-hour", "0").output


def test_dry_run_without_a_review_has_no_estimate_and_names_what_cannot_be_read(
    folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    for i in range(120):
        (folder / f"{i:03d}.parquet").write_bytes(b"damaged")

    plan = printed(command("score", folder, "--output", tmp_path / "out", "--model", tiny_model, "--dry-run", "--json"),
                   "dry_run")  # fmt: skip

    assert (0, 120, 100, None) == (
        plan["reviews"], plan["unreadable"], len(plan["unreadable_files"]), plan["estimate"]
    )  # fmt: skip
    assert plan["unreadable_files"][0]["path"] == str(folder / "000.parquet")


@pytest.mark.parametrize("text", ["", "…"], ids=["empty", "without words"])
def test_dry_run_over_records_that_cannot_be_scored_makes_up_no_time(
    text: str, folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    (folder / "a.jsonl").write_text(json.dumps({"text": text}) + "\n" + json.dumps({"text": text}) + "\n")
    given = ("score", folder / "a.jsonl", "--output", tmp_path / "out", "--model", tiny_model, "--dry-run")
    plan = printed(command(*given, "--json"), "dry_run")
    assert (2, None) == (plan["reviews"], plan["estimate"])
    said = " ".join(command(*given).output.split())
    assert "none of the first records can be scored" in said
    assert " on this machine" not in said


def test_summary_is_one_object_that_has_the_counts_of_the_manifest(words: tuple[object, ...], tmp_path: Path) -> None:
    result = command(*words, "--json")

    summary = printed(result, "summary")
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert (0, 0, True, None) == (
        result.exit_code, summary["exit_code"], summary["success"], summary["not_a_success"]
    )  # fmt: skip
    assert (manifest["counts"], manifest["run_id"]) == (summary["counts"], summary["run_id"])
    assert (1, None, str(tmp_path / "out/predictions/*.parquet")) == (
        summary["files"], summary["errors"], summary["predictions"]
    )  # fmt: skip
    assert 0 <= summary["positive"] <= 1
    again = printed(command(*words, "--json", "--resume"), "summary")
    assert (6, 0.0) == (again["reviews_before"], again["reviews_per_s"])
    asked = printed(command(*words, "--json", "--unusual", "--overwrite"), "summary")
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["unusual"] == asked["unusual"] and "unusual" not in summary


@pytest.mark.parametrize("log", [(), ("--log-format", "json"), ("--quiet",), ("--verbose",)])
def test_summary_of_a_run_that_is_no_success_says_why_whatever_goes_to_the_log(
    log: tuple[str, ...], folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    (folder / "a.jsonl").write_text('{"text": "good"}\n{"text": 5}\n{"text": "x"\n')
    (folder / "b.parquet").write_bytes(b"damaged")

    result = command("score", folder, "--output", tmp_path / "out", "--model", tiny_model, "--json", *log)

    summary = printed(result, "summary")
    assert (3, 3, False) == (result.exit_code, summary["exit_code"], summary["success"])
    assert "unreadable" in summary["not_a_success"] and 1 == len(summary["unreadable_files"])
    assert {"unreadable": 1, "malformed_json": 1, "text_not_a_string": 1} == summary["rejected"]
    assert summary["errors"].endswith("errors/*.parquet")


def test_summary_of_a_quiet_night_has_null_for_its_share(folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    words = ("score", folder / "*.csv", "--output", tmp_path / "out", "--model", tiny_model, "--json")

    refused, summary = command(*words), printed(command(*words, "--allow-empty"), "summary")

    assert (2, "") == (refused.exit_code, refused.stdout)
    assert (0, None, 0.0, True) == tuple(summary[name] for name in ("files", "positive", "reviews_per_s", "success"))
    assert "nothing was scored: the inputs have no records" == summary["notices"][-1]


def test_inspect_prints_a_run_with_its_first_rows(original: Original) -> None:
    run = printed(command("inspect", original.output, "--json", "--rows", "2"), "inspect")

    assert json.loads((original.output / "manifest.json").read_text()) == run["manifest"]
    assert ("run", 2) == (run["kind"], len(run["first_predictions"]))
    assert {"record_id", "predicted_label", "probability", "top_contributing"} == run["first_predictions"][0].keys()
    assert run["manifest"]["counts"]["rejected"] == sum(row["records"] for row in run["rejected"])
    assert {"scores", "lengths", "unknown_words"} == run["shift"].keys()


def test_inspect_prints_a_model_and_a_run_that_is_not_finished(
    tiny_model: Path, words: tuple[object, ...], tmp_path: Path
) -> None:
    model = printed(command("inspect", tiny_model, "--json"), "inspect")
    assert ("model", "tiny", (tiny_model / "MODEL_ID").read_text()[:12]) == (
        model["kind"], model["manifest"]["name"], model["model_id"]
    )  # fmt: skip

    command(*words)
    for name in ("manifest.json", "_SUCCESS"):
        (tmp_path / "out" / name).unlink()
    run = printed(command("inspect", tmp_path / "out", "--json"), "inspect")
    assert ("unfinished", 1, 1) == (run["state"], run["shards"], run["shards_done"])
    refused = command("inspect", tmp_path, "--json")
    assert (2, "") == (refused.exit_code, refused.stdout)
