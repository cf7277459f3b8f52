"""What a job tells of itself: what is heard, on which stream, in which format, and with which exit code."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from batch_scorer import events
from batch_scorer.config import JSON, QUIET, USUAL, VERBOSE, ScoreConfig
from batch_scorer.errors import InputError, OptionError
from batch_scorer.events import Event
from tests.cli.test_main import run, score
from tests.conftest import REVIEWS

EVENTS = {"detail": events.DETAIL, "info": events.INFO, "warning": events.WARNING, "error": events.ERROR}


def heard(monkeypatch: pytest.MonkeyPatch, config: ScoreConfig) -> list[str]:
    """What stands on standard error after an event of each level."""
    screen = io.StringIO()
    monkeypatch.setattr("sys.stderr", screen)
    with events.logged(config.messages):
        for name, level in EVENTS.items():
            events.log(Event(name, f"{name}\x1b[2J\n", level, {"shard": 3}))
    events.log(Event("late", "nobody hears it", events.ERROR))
    return screen.getvalue().splitlines()


@pytest.mark.parametrize(
    ("verbosity", "log_format", "expected"),
    [
        (USUAL, "text", []),
        (QUIET, "text", ["warning", "error"]),
        (VERBOSE, "text", ["detail"]),
        (USUAL, JSON, ["info", "warning", "error"]),
        (QUIET, JSON, ["warning", "error"]),
        (VERBOSE, JSON, ["detail", "info", "warning", "error"]),
    ],
)
def test_events_are_heard_as_far_as_was_asked(
    verbosity: str, log_format: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = heard(monkeypatch, ScoreConfig.of(("in",), "out", verbosity=verbosity, log_format=log_format))
    assert len(expected) == len(lines)
    for name, line in zip(expected, lines, strict=True):
        assert line.isprintable()
        if log_format == JSON:
            told = json.loads(line)
            assert (name, f"{name}\x1b[2J\n", 3) == (told["event"], told["message"], told["shard"])
            assert ["time", "level", "event", "message"] == list(told)[:4] and told["time"].endswith("Z")
        else:
            assert f"{name}�[2J " in line


@pytest.mark.parametrize("log_format", ["text", JSON])
def test_log_file_has_every_event_the_log_of_others_and_the_error_that_ended_it(
    log_format: str, tmp_path: Path
) -> None:
    config = ScoreConfig.of(("in",), "out", log_file=str(tmp_path / "log"), log_format=log_format, verbosity=QUIET)
    with pytest.raises(InputError), events.logged(config.messages):
        events.log(Event("shard", "of ours", events.DETAIL, {"shard": 3}))
        try:
            raise ValueError("theirs")
        except ValueError:
            logging.getLogger("beam").exception("failed: %s", "x")
        raise InputError("an input is gone", where="in")
    written = (tmp_path / "log").read_text()
    assert [] == [text for text in ("of ours", "failed: x", "Traceback", "an input is gone") if text not in written]
    if log_format == JSON:
        first, second, third = map(json.loads, written.splitlines())
        assert ("shard", 3, "debug") == (first["event"], first["shard"], first["level"])
        assert ("log", "beam") == (second["event"], second["logger"]) and "theirs" in second["traceback"]
        assert ("error", "error") == (third["event"], third["level"])


def test_log_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="the log cannot be written"):
        events.logged(ScoreConfig.of(("in",), "out", log_file=str(tmp_path / "no" / "log")).messages).__enter__()


def test_standard_error_is_reached_although_others_turn_it_away(capfd: pytest.CaptureFixture[str]) -> None:
    with events.logged(ScoreConfig.of(("in",), "out", verbosity=QUIET).messages):
        ours, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            events.log(Event("warning", "heard", events.WARNING))
        finally:
            os.dup2(ours, 2)
            os.close(ours)
            os.close(nowhere)
    assert "warning: heard\n" == capfd.readouterr().err


Job = Callable[..., Result]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Job:
    """Runs `score` over seven reviews, one of strange words, and one of none, in two shards; options may be added."""
    folder = tmp_path_factory.mktemp("told")
    records = [{"id": name, "text": text} for name, text in (*REVIEWS, ("r7", 7), ("r8", "unheard " * 19))]
    (folder / "in.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))

    def start(*more: object) -> Result:
        output = folder / str(len(os.listdir(folder)))
        return score(folder / "in.jsonl", tiny_model, output, "--run-id", "r", "--shard-rows", 4, *more)

    return start


def told(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stderr.splitlines()]


def test_json_job_tells_all_on_standard_error_and_nothing_on_standard_output(job: Job) -> None:
    result = job("--log-format", "json", "--max-error-rate", 1)
    assert (0, "") == (result.exit_code, result.stdout)
    lines = {line["event"]: line for line in told(result)}
    # Where a job takes long, there are lines about its progress as well.
    assert ["planned", "warning", "finished"] == [name for name in lines if name not in ("step", "progress")]
    assert {"read": 8, "scored": 7, "rejected": 1, "unreadable": 0, "empty": 0} == lines["finished"]["counts"]
    assert {"text_not_a_string": 1} == lines["finished"]["rejected"] and lines["finished"]["success"]


def test_verbose_job_tells_of_each_shard_once(job: Job) -> None:
    result = job("--log-format", "json", "--verbose")
    assert 3 == result.exit_code
    lines = told(result)
    shards = [line for line in lines if line["event"] == "shard"]
    assert [0, 1] == sorted(line["shard"] for line in shards)
    assert 7 == sum(line["counts"]["scored"] for line in shards)
    assert {"versions", "input", "columns", "workers"} <= {line["event"] for line in lines}
    assert ("not_a_success", 3) == (lines[-1]["event"], lines[-1]["exit_code"])


def test_verbose_job_has_its_summary_on_standard_output_and_the_rest_beside_it(job: Job) -> None:
    result = job("--verbose", "--max-error-rate", 1)
    assert "7 reviews scored" in result.stdout and "shard 1: " not in result.stdout
    assert "shard 1: " in result.stderr and "tensorflow" in result.stderr and "7 reviews scored" not in result.stderr


def test_quiet_job_says_nothing_but_warnings_and_why_it_is_no_success(job: Job) -> None:
    result = job("-q")
    assert (3, "") == (result.exit_code, result.stdout)
    assert {"warning", "error"} == {line.split(":")[0] for line in result.stderr.splitlines()}
    assert "1 of 8 records" in result.stderr.splitlines()[-1]


def test_quiet_and_verbose_exclude_each_other(job: Job) -> None:
    result = job("-q", "-v")
    assert 2 == result.exit_code
    assert "--quiet and --verbose cannot be combined" in result.stderr


def test_refusal_of_a_json_job_is_a_line_of_json(tmp_path: Path) -> None:
    result = run("score", tmp_path / "no.csv", "--output", tmp_path / "out", "--log-format", "json")
    assert (2, "") == (result.exit_code, result.stdout)
    (line,) = told(result)
    assert ("error", "error", 2) == (line["event"], line["level"], line["exit_code"])
    assert {"where", "expected", "got", "fix"} <= line.keys()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
    ids=str,
)
def test_colour_of_an_error_is_as_the_environment_asks(
    environment: dict[str, str], expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert expected == ("\x1b[31m" in run("inspect", tmp_path / "none").stderr)
