"""A job from Python: the finished run, the options, its events and errors, and its end when somebody stops it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batch_scorer import Run, errors, score_job
from batch_scorer.api import job as jobs
from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import InputError, JobError, OptionError, OutputError
from batch_scorer.events import Event
from batch_scorer.runs.claim import claimed
from tests.chaos.gate import Gate
from tests.conftest import REVIEWS
from tests.jobs import part_bytes, score_here
from tests.processes import GUARD_S, running, wait_until


@pytest.fixture(scope="module")
def run_and_events(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[Run, list[Event]]:
    """A job of six reviews and a bad record, which is not a success, in a directory of its own."""
    folder = tmp_path_factory.mktemp("job")
    lines = [json.dumps({"id": name, "text": text, "stars": 3}) for name, text in REVIEWS]
    (folder / "in.jsonl").write_text("\n".join([*lines, "{broken"]) + "\n", encoding="utf-8")
    events: list[Event] = []
    with pytest.warns(UserWarning, match=r"not a success: .*rejected"):
        run = score_job(
            folder / "in.jsonl", folder / "out", model=tiny_model, worker_timeout=GUARD_S, id_column="id",
            keep={"stars": "rating"}, run_id="r", shard_rows=3, top_k=2, progress=events.append,
        )  # fmt: skip
    return run, events


def test_job_gives_the_run_that_the_command_line_would(
    run_and_events: tuple[Run, list[Event]], tmp_path: Path, tiny_model: Path
) -> None:
    run, _ = run_and_events
    source = str(Path(run.path).parent / "in.jsonl")
    score_here(
        ScoreConfig.of(
            [source], str(tmp_path / "out"), str(tiny_model), id_column="id", kept=(Kept("stars", "rating"),),
            run_id="r", shard_rows=3, top_k=2,
        )
    )  # fmt: skip
    assert part_bytes(tmp_path / "out") == part_bytes(run.path)
    assert not run.complete
    assert (6, 1) == (run.manifest["counts"]["scored"], run.manifest["counts"]["rejected"])


def test_events_are_those_of_the_command_line(run_and_events: tuple[Run, list[Event]]) -> None:
    run, events = run_and_events
    names = [event.name for event in events if event.name not in ("step", "progress")]
    assert ["planned", "versions", "input", "columns", "workers", "shard", "shard"] == names[:7]
    assert ["finished", "not_a_success"] == names[-2:]
    assert run.run_id == events[-1].fields["run_id"]


def test_manifest_has_the_command_that_does_the_same(run_and_events: tuple[Run, list[Event]]) -> None:
    run, _ = run_and_events
    words = run.manifest["command"]
    assert ["batch-scorer", "score"] == words[:2]
    for expected in ("--id-column id --keep stars=rating", "--run-id r --shard-rows 3 --top-k 2"):
        assert f" {expected} " in f"{' '.join(words)} "


def test_second_job_is_refused_and_one_that_resumes_is_not(run_and_events: tuple[Run, list[Event]]) -> None:
    run, _ = run_and_events
    source, before = Path(run.path).parent / "in.jsonl", part_bytes(run.path)
    same: dict[str, Any] = {
        "model": run.manifest["command"][run.manifest["command"].index("--model") + 1],
        "id_column": "id", "keep": ["stars=rating"], "run_id": "r", "shard_rows": 3, "top_k": 2, "progress": False,
        "worker_timeout": GUARD_S,
    }  # fmt: skip
    with pytest.raises(OutputError, match="not empty") as refused:
        score_job(source, run.path, **same)
    assert run.path == refused.value.where
    resumed = score_job(source, run.path, resume=True, max_error_rate=1, **same)
    assert resumed.complete
    assert before == part_bytes(run.path)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"limit": 0}, "--limit"),
        ({"workers": 0}, "--workers"),
        ({"top_k": -1}, "--top-k"),
        ({"spans": -1}, "--spans"),
        ({"max_error_rate": 1.5}, "--max-error-rate"),
        ({"precision": "float16"}, "--precision"),
        ({"input_format": "xml"}, "--input-format"),
        ({"text_column": ""}, "--text-column"),
        ({"encoding": "utf-16"}, "--encoding"),
        ({"delimiter": "::"}, "--delimiter"),
        ({"keep": ["logit"]}, "logit"),
        ({"resume": True, "overwrite": True}, "--resume and --overwrite"),
        ({"beam_options": ["--dry-run"]}, "--dry-run is an option of batch-scorer"),
        ({"beam_options": ["--runner=DirectRunner", "--limit=3"]}, "--limit is an option of batch-scorer"),
    ],
)
def test_value_that_no_job_can_have_is_refused_before_anything_starts(options: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError, match=named):
        score_job("in.jsonl", "out", **options)


def test_option_that_does_not_exist_is_a_type_error_that_names_the_next() -> None:
    with pytest.raises(TypeError, match="'overwite'; did you mean 'overwrite'"):
        score_job("in.jsonl", "out", overwite=True)  # type: ignore[call-arg]


def test_error_of_the_job_is_raised_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        score_job(tmp_path / "none.jsonl", tmp_path / "out", progress=False)
    error = refused.value
    assert type(error) is InputError
    assert (str(tmp_path / "none.jsonl"), errors.InputError.exit_code) == (error.where, error.exit_code)
    assert error.expected and error.got and error.fix
    assert not (tmp_path / "out").exists()


class OneEventAndThen:
    """A child process that sends one event, and then what it is given."""

    def __init__(self, end: Exception | None) -> None:
        self._messages = [Event("planned", "6 reviews"), end]
        self.stopped = False

    def send(self, message: object) -> None:
        self.received = message

    def receive(self) -> Any:
        message = self._messages.pop(0)
        if isinstance(message, EOFError):
            raise message
        return message

    def stop(self) -> None:
        self.stopped = True

    def how_it_ended(self) -> str:
        return "a process that was ended by signal SIGKILL"


def test_process_that_dies_is_a_job_error_that_says_how_to_continue(monkeypatch: pytest.MonkeyPatch) -> None:
    child = OneEventAndThen(EOFError())
    monkeypatch.setattr(jobs, "Child", lambda module: child)
    with pytest.raises(JobError) as failed:
        score_job("in.jsonl", "out", progress=False)
    assert child.stopped
    assert "SIGKILL" in str(failed.value.got)
    assert "--resume" in str(failed.value.fix)


def test_function_that_raises_stops_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    child = OneEventAndThen(None)
    monkeypatch.setattr(jobs, "Child", lambda module: child)

    def raises(event: Event) -> None:
        raise LookupError(event.message)

    with pytest.raises(LookupError, match="6 reviews"):
        score_job("in.jsonl", "out", progress=raises)
    assert child.stopped


def is_locked(output: Path) -> bool:
    """Whether a job still writes there."""
    try:
        with claimed(str(output)):
            return False
    except OutputError:
        return True


RUNS = """
import sys
from batch_scorer import score_job
try:
    score_job(sys.argv[1], sys.argv[2], model=sys.argv[3], shard_rows=25, run_id="r", workers=2, worker_timeout=1200,
              progress=False)
except KeyboardInterrupt as interrupt:
    print("stopped", *interrupt.__notes__)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see the workers")
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_stopped_job_leaves_no_process_and_resumes_to_the_same_bytes(
    number: signal.Signals, tmp_path: Path, tiny_model: Path
) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out"
    source.write_text("".join(json.dumps({"text": f"good film {i}"}) + "\n" for i in range(300)))
    command = [sys.executable, "-c", RUNS, str(source), str(output), str(tiny_model)]
    gate = Gate(tmp_path / "gate", "scoring")
    with running(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **gate.environment}) as host:
        wait_until(lambda: len(gate.waiting()) == 2, host)
        processes = gate.processes()
        os.killpg(host.pid, number)
        out, _ = host.communicate(timeout=GUARD_S)
        wait_until(lambda: not gate.processes() and not is_locked(output))  # the lock lasts a moment longer
    assert len(processes) >= 4  # this host, the job, and two workers
    assert (number == signal.SIGINT) == out.startswith("stopped the job was stopped; to continue, run `batch-scorer ")
    assert not (output / "_SUCCESS").exists()
    options: dict[str, Any] = {"shard_rows": 25, "run_id": "r"}
    if number == signal.SIGINT:
        patient = {"workers": 1, "worker_timeout": GUARD_S, "progress": False}
        assert score_job(source, output, model=tiny_model, resume=True, **patient, **options).complete
    else:
        score_here(ScoreConfig.of([str(source)], str(output), str(tiny_model), resume=True, **options))
    undisturbed = tmp_path / "undisturbed"
    score_here(ScoreConfig.of([str(source)], str(undisturbed), str(tiny_model), **options))
    assert part_bytes(undisturbed) == part_bytes(output)


# Progress


class Display:
    """IPython's `display`, which remembers what it showed."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []

    def __call__(self, content: dict[str, str], raw: bool, display_id: bool = False) -> Display:
        self.shown.append(content)
        return self

    update = __call__


EVENTS = [
    Event("step", "listing the inputs"),
    Event("planned", "6 reviews in 2 shards; model <tiny>"),
    Event("versions", "python 3"),
    Event("progress", "3 of 6 reviews"),
    Event("warning", "the reviews are longer"),
    Event("finished", "6 reviews scored"),
]


def test_notebook_has_one_output_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    display = Display()
    monkeypatch.setattr("batch_scorer.api.progress._notebook_display", lambda: display)
    on_event: Callable[[Event], None] = jobs.shown()
    for event in EVENTS:
        on_event(event)
    texts = [content["text/plain"].splitlines() for content in display.shown]
    planned, warned = EVENTS[1].message, "warning: the reviews are longer"
    assert [["starting"], ["listing the inputs"], [planned, "scoring"], [planned, "3 of 6 reviews"]] == texts[:4]
    assert [planned, warned, "6 reviews scored"] == texts[-1]
    assert "&lt;tiny&gt;" in display.shown[-1]["text/html"]


def test_elsewhere_there_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = iter([0.0, 1.0, 1.0, 1.0, 12.0, 13.0, 14.0])
    monkeypatch.setattr("batch_scorer.api.progress.time.monotonic", lambda: next(seconds))
    on_event = jobs.shown()
    for event in EVENTS:
        on_event(event)
    said = capsys.readouterr()
    expected = [EVENTS[1].message, "3 of 6 reviews", "warning: the reviews are longer", "6 reviews scored"]
    assert ("", expected) == (said.out, said.err.splitlines())
