"""The end of a job, as a person reads it: what happened, where the time went, and commands to be pasted."""

from __future__ import annotations

import io
import shlex
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from rich.console import Console

from batch_scorer.cli.main import main
from batch_scorer.config import ScoreConfig
from batch_scorer.models.profile import measure
from batch_scorer.runners.result import JobResult, finished_events
from batch_scorer.runs.rejections import Unreadable
from batch_scorer.ui import summary

CONFIG = ScoreConfig.of(
    ("my file.jsonl",), "the output", command=("x", "score", "my file.jsonl", "--output", "the output")
)


def manifest(**changes: Any) -> dict[str, Any]:
    """Of 1,000 reviews, a quarter of them at 0.5 or above, and two that were rejected."""
    lengths = np.full(1_000, 40)
    profile = measure(lengths, lengths, lengths // 10, np.repeat([0.1, 0.2, 0.499, 0.5], 250)).to_json()
    return {
        "run_id": "r",
        "model_name": "m",
        "model_id": "0" * 12,
        "finished": "2026-01-02T03:04:05+00:00",
        "threshold": 0.5,
        "counts": {"read": 1_002, "scored": 1_000, "rejected": 2, "unreadable": 0},
        "profile": {"run": profile, "training": profile},
        "timings": {"read": 1.0, "score": 6.0},
        "parts": [],
        "inputs": [],
        "warnings": [],
        "notices": ["[b]: left out 2 x .csv"],
        "not_a_success": None,
        "command": CONFIG.messages.command,
        **changes,
    }


def shown(config: ScoreConfig, result: JobResult, width: int = 0) -> list[str]:
    """The lines of the summary: in a pipe, or in a terminal that is so wide."""
    on = Console(file=io.StringIO(), width=width or 80, force_terminal=bool(width), color_system=None, soft_wrap=True)
    summary.show(on, config, result)
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue().splitlines()


def finished(manifest: dict[str, Any], *rest: Any) -> JobResult:
    return JobResult("the output", manifest, *rest)


def test_summary_says_what_happened_where_the_time_went_and_what_next(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my file.jsonl").touch()
    lines = shown(CONFIG, finished(manifest(), 5.0, 0, 2, {"no_words": 2}))
    assert [
        "1,000 reviews scored in 5.0 s (200/s), 2 rejected, 0 unreadable",
        "notice [b]: left out 2 x .csv",
        "  positive     25.0%",
        "  time         start-up and other 30%, read 10%, score 60% (2 processes)",
        "  predictions  the output/predictions/*.parquet",
        "  errors       the output/errors/*.parquet",
        "               2 no_words",
        "  next         batch-scorer inspect 'the output'",
        "               batch-scorer report 'the output' --text-from 'my file.jsonl'",
        "               batch-scorer sql 'the output'",
    ] == lines


def test_summary_without_rejected_records_names_no_errors() -> None:
    counts = {"read": 1_000, "scored": 1_000, "rejected": 0, "unreadable": 0}
    assert [] == [line for line in shown(CONFIG, finished(manifest(counts=counts), 5.0, 0, 2, {})) if "errors" in line]


def test_summary_of_a_resumed_run_counts_the_speed_of_this_try_and_no_start() -> None:
    lines = shown(CONFIG, finished(manifest(), 5.0, 900, 2, None))
    assert "1,000 reviews scored, 900 of them earlier, in 5.0 s (20/s), 2 rejected, 0 unreadable" == lines[0]
    assert "  worker time  read 14%, score 86% (2 processes)" in lines


@pytest.mark.parametrize(
    ("before", "seconds", "expected"),
    [
        (0, 0.5, "1,000 reviews scored in 0.5 s (2,000/s)"),
        (997, 5.0, "1,000 reviews scored, 997 of them earlier, in 5.0 s (0.6/s)"),
        (999, 5.0, "1,000 reviews scored, 999 of them earlier, in 5.0 s (0.2/s)"),
        (999, 500.0, "1,000 reviews scored, 999 of them earlier, in 500.0 s (under 0.1/s)"),
        (1_000, 5.0, "1,000 reviews scored, 1,000 of them earlier, in 5.0 s"),
        (1_200, 5.0, "1,000 reviews scored, 1,200 of them earlier, in 5.0 s"),  # as planned, which was an estimate
    ],
)
def test_speed_is_never_none(before: int, seconds: float, expected: str) -> None:
    sentence = finished(manifest(), seconds, before, 2, None).sentence
    assert expected == sentence.partition(", 2 rejected")[0]


def test_summary_of_a_run_elsewhere_has_the_shares_of_its_workers_alone() -> None:
    assert "  worker time  read 14%, score 86%" in shown(CONFIG, finished(manifest(), 5.0, 0, None, None))


def test_summary_without_scored_reviews_offers_no_report() -> None:
    counts = {"read": 2, "scored": 0, "rejected": 2, "unreadable": 0}
    lines = shown(CONFIG, finished(manifest(counts=counts), 5.0, 0, 1, {"no_words": 2}))
    assert [] == [line for line in lines if "report" in line or "positive" in line]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"read": 100, "scored": 97, "rejected": 3, "unreadable": 0}, ["--max-error-rate", "0.03"]),
        ({"read": 3, "scored": 2, "rejected": 1, "unreadable": 0}, ["--max-error-rate", "0.34"]),
        ({"read": 9, "scored": 9, "rejected": 0, "unreadable": 1}, ["--allow-unreadable"]),
        (
            {"read": 3, "scored": 1, "rejected": 2, "unreadable": 1},
            ["--allow-unreadable", "--max-error-rate", "0.67"],
        ),
    ],
)
def test_run_that_is_no_success_ends_with_the_command_that_accepts_it(
    counts: dict[str, int], expected: list[str]
) -> None:
    result = finished(manifest(counts=counts, not_a_success="why"), 5.0, 0, 1, None)
    *before, what, command = shown(CONFIG, result)
    assert what.lstrip().removeprefix("or").lstrip().startswith("accept ")
    again = "               batch-scorer score 'my file.jsonl' --output 'the output' --resume"
    assert (counts["unreadable"] > 0) == (before[-1] == again)
    given = ["batch-scorer", "score", "my file.jsonl", "--output", "the output", "--resume", *expected]
    assert given == shlex.split(command)
    rate = click.Context(main).command.commands["score"].make_context("score", given[2:]).params["max_error_rate"]  # type: ignore[attr-defined]
    assert counts["rejected"] / counts["read"] <= rate or "--max-error-rate" not in expected


@pytest.mark.parametrize("unreadable", [0, 1])
def test_run_in_which_every_record_is_bad_is_not_offered_as_a_success(unreadable: int) -> None:
    counts = {"read": 9, "scored": 0, "rejected": 9, "unreadable": unreadable, "empty": 0}
    said = shown(CONFIG, finished(manifest(counts=counts, not_a_success="why"), 5.0, 0, 1, None))
    assert not [line for line in said if "accept" in line or "--max-error-rate" in line]
    assert (unreadable > 0) == any("read again" in line for line in said)


def test_run_of_which_no_file_could_be_read_is_not_offered_as_a_success() -> None:
    counts = {"read": 0, "scored": 0, "rejected": 0, "unreadable": 2, "empty": 0}
    said = shown(CONFIG, finished(manifest(counts=counts, not_a_success="why"), 5.0, 0, 1, None))
    assert any("read again" in line for line in said) and not any("accept" in line for line in said)


@pytest.mark.parametrize("width", [40, 63, 100, 200])
def test_summary_fits_its_terminal_but_for_what_is_to_be_copied(width: int) -> None:
    rejected = {f"code_{i}": 9 - i for i in range(7)}
    lines = shown(CONFIG, finished(manifest(warnings=["long " * 30]), 5.0, 0, 2, rejected), width)
    copied = ("batch-scorer ", "/*.parquet")
    long = [line for line in lines[1:] if len(line) > width and not any(part in line for part in copied)]
    assert [] == long
    assert "9 code_0" in " ".join(lines) and "and 2 other codes" in " ".join(" ".join(lines).split())


def test_output_that_begins_with_a_dash_is_no_option_of_the_commands_that_look_at_it() -> None:
    assert ["p inspect ./-o", "p report ./-o", "p sql ./-o"] == summary.look_at("p", "-o", ["nowhere"])


def test_texts_are_not_to_be_taken_from_what_is_not_there_or_is_too_much() -> None:
    assert ["p report o", "p sql o"] == summary.look_at("p", "o", ["nowhere/*.csv"], inspected=True)
    assert ["p report o", "p sql o"] == summary.look_at("p", "o", ["."] * 40, inspected=True)
    assert f"p report o{' --text-from .' * 5}" == summary.look_at("p", "o", ["."] * 5, inspected=True)[0]
    expected = "p report o --text-from gs://b/in"
    assert expected == summary.look_at("p", "o", ["gs://b/in"], inspected=True)[0]


def test_resumed_run_in_which_nothing_was_left_to_do_has_no_rate() -> None:
    lines = shown(CONFIG, finished(manifest(), 5.0, 1_000, 2, None))
    assert "1,000 reviews scored, 1,000 of them earlier, in 5.0 s, 2 rejected, 0 unreadable" == lines[0]


def test_file_of_which_several_ranges_cannot_be_read_is_listed_once() -> None:
    counts = {"read": 9, "scored": 9, "rejected": 0, "unreadable": 4}
    whys = [
        Unreadable("a.csv", "row group 1: cut"),
        Unreadable("b.csv", "cut"),
        Unreadable("a.csv", "row group 3: cut"),
    ]
    result = JobResult("o", manifest(counts=counts), 5.0, 0, 2, None, unreadable=whys)
    said = [line.strip() for line in shown(CONFIG, result)]
    first = "a.csv cannot be read: row group 1: cut (the first of several ranges)"
    assert [first, "b.csv cannot be read: cut", "and 1 more file or range"] == [
        line for line in said if line.startswith(("a.csv", "b.csv", "and"))
    ]


def test_end_is_passed_on_as_events_too() -> None:
    run = manifest(warnings=["w"], not_a_success="why")
    events = {event.name: event for event in finished_events(JobResult("o", run, 5.0, 0, 2, {"no_words": 2}))}
    assert ["warning", "notice", "finished", "not_a_success"] == list(events)
    fields = events["finished"].fields
    assert (0.25, {"no_words": 2}, False, 200) == tuple(
        fields[name] for name in ("positive", "rejected", "success", "reviews_per_s")
    )
