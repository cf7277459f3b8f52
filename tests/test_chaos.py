"""Faults that only a real job in processes of its own can meet, each once; and that the judges of them do see harm.

`python -m tests.chaos` has faults of every kind strike at random moments, by the hundred.
"""

from __future__ import annotations

import dataclasses
import functools
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from batch_scorer.cli.main import main
from batch_scorer.config import ScoreConfig
from tests.chaos import corpora, table
from tests.chaos.faults import FAULTS, PATIENCE_S
from tests.chaos.jobs import Ended, Order
from tests.chaos.trials import Ground, Moment, Struck
from tests.chaos.verdict import compare, complaints, content
from tests.conftest import save_tiny
from tests.jobs import score_here

needs_linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to see the processes")
SCORING, LOADING, STAY = Moment("scoring"), Moment("loading", stay=True), Moment("scoring", stay=True)
# Each fault strikes one run of a job, which the next run resumes. The last of a line may leave the job alive: then it
# finishes the job. All strike while the job waits for them, so nothing here depends on how fast the machine is.
CHAINS = (
    (1, {"output read-only": SCORING, "disk full": SCORING}),  # which may have room for what is left
    (1, {"clock jumps": SCORING}),
    (2, {"worker killed while loading": LOADING, "worker hangs": STAY}),
    (2, {"worker killed": STAY, "memory limit": SCORING}),
)  # fmt: skip
KINDS = [name for _, moments in CHAINS for name in moments]
# Others are slow beside what they add: other tests let a part, a marker or a log fail to be written, and those of
# `runners/test_heartbeat.py` have the driver meet a worker that hangs, or dies as it loads the model.
MARKED = [pytest.param(name, marks=[pytest.mark.slow] * (name not in CHAINS[-1][1])) for name in KINDS]
# The other kinds are the business of `python -m tests.chaos`: a cheaper test holds on every change what they are about.
ELSEWHERE = {
    "all killed": "runners/test_interrupt.py::test_stopped_job_leaves_no_worker_and_resumes_to_the_same_bytes",
    "driver killed": "runners/test_interrupt.py::test_stopped_job_leaves_no_worker_and_resumes_to_the_same_bytes",
    "SIGTERM": "runners/test_interrupt.py::test_stopped_job_leaves_no_worker_and_resumes_to_the_same_bytes",
    "Ctrl-C": "runners/test_interrupt.py::test_stopped_job_leaves_no_worker_and_resumes_to_the_same_bytes",
    "input removed": "runners/test_crash.py::test_input_that_changes_while_it_is_read_fails_the_job",
    "input truncated": "runners/test_crash.py::test_input_that_changes_while_it_is_read_fails_the_job",
    "input replaced": "runners/test_crash.py::test_input_that_changes_while_it_is_read_fails_the_job",
    "rot after a crash": "runners/test_crash.py::test_resume_keeps_finished_shards_and_repeats_damaged_ones",
    "stale drafts after a crash": "runners/test_crash.py::test_resume_deletes_what_a_crash_left_half_written",
    "two jobs": "runners/test_crash.py::test_job_whose_output_another_one_holds_is_refused",
    "suspended": "runners/test_heartbeat.py::test_driver_that_stood_still_blames_no_worker",
    "worker hangs, default timeout": "runners/test_heartbeat.py::test_worker_that_never_gets_to_load_the_model",
}
PATIENT_S = 900.0  # only a guard: how soon a job ends after a fault, `python -m tests.chaos` judges


class GroundHere(Ground):
    """Runs in this process what no fault is to strike."""

    def take(self, order: Order, folder: Path) -> None:
        """Scores an order undisturbed, in `folder`."""
        run_here(order, folder)
        self.take_undisturbed(order, folder)

    def resume(self, order: Order, output: Path, place: Path) -> tuple[str, ...]:
        """Brings a run to its end."""
        run_here(dataclasses.replace(order, workers=1), output, "--resume")
        return ()


def run_here(order: Order, output: Path, *more: str) -> None:
    result = CliRunner().invoke(main, order.command(output, *more, program=()))
    assert 0 == result.exit_code, result.output


@pytest.fixture(scope="module")
def struck(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Struck]:
    """What a kind of fault came to, by its name. Its chain is run when one of its faults is first asked for."""
    folder = tmp_path_factory.mktemp("chaos")
    corpus, model = corpora.mixed(folder / "in", 480), save_tiny(folder / "model")
    corpus = dataclasses.replace(corpus, options=(*corpus.options, "--worker-timeout", str(PATIENT_S)))
    ground, rng = GroundHere(folder, folder / "kept", PATIENT_S), random.Random(7)
    whole = Order(corpus, model, shard_rows=20, workers=1)
    ground.take(whole, folder / "whole")

    @functools.cache
    def chain(at: int) -> dict[str, Struck]:
        workers, moments = CHAINS[at]
        able = [name for name in moments if not FAULTS[name].lacking()]
        order = dataclasses.replace(whole, workers=workers)
        faults = [FAULTS[name] for name in able]
        return {one.fault: one for one in ground.trial(order, faults, rng, [moments[name] for name in able])}

    def find(name: str) -> Struck:
        found = chain(next(at for at, (_, moments) in enumerate(CHAINS) if name in moments))
        assert name in found, [(one.fault, one.code, one.said) for one in found.values()]
        return found[name]

    return find


@needs_linux
@pytest.mark.parametrize("name", MARKED)
def test_fault_harms_no_row_and_is_told(name: str, struck: Callable[[str], Struck]) -> None:
    reason = FAULTS[name].lacking()
    if reason:
        pytest.skip(reason)
    one = struck(name)
    assert () == one.problems, one.said
    assert (True, 0, 0) == (one.identical, one.lost, one.doubled)
    assert one.midway or name == "worker killed while loading"


def error_of(one: Struck) -> list[str]:
    """The lines of the error with which a job ended."""
    assert 1 == one.code
    return one.said[one.said.index("error: ") :].splitlines()


@needs_linux
def test_killed_worker_ends_the_job_and_is_named(struck: Callable[[str], Struck]) -> None:
    error, where, got, fix = error_of(struck("worker killed"))
    assert "error: a worker died" == error
    assert where.startswith(("  where:    shard ", "  where:    between two shards"))
    assert "was killed by SIGKILL" in got
    assert "--resume" in fix


@needs_linux
@pytest.mark.slow
def test_worker_killed_while_it_loads_the_model_is_told_so(struck: Callable[[str], Struck]) -> None:
    assert ["error: a worker died", "  where:    loading the model"] == error_of(struck("worker killed while loading"))[
        :2
    ]


@needs_linux
@pytest.mark.slow
def test_hung_worker_ends_the_job_and_is_named(struck: Callable[[str], Struck]) -> None:
    error, where, expected, got, fix = error_of(struck("worker hangs"))
    assert "error: a worker stopped responding" == error
    assert where.startswith(("  where:    shard ", "  where:    between two shards"))
    assert "--worker-timeout" in expected
    assert "no step from process" in got
    assert "--resume" in fix


def test_every_kind_of_fault_is_tried_here_or_held_by_another_test() -> None:
    assert FAULTS.keys() == {*KINDS, *ELSEWHERE}
    assert len(FAULTS) == len(KINDS) + len(ELSEWHERE)
    for test in ELSEWHERE.values():
        file, name = test.split("::")
        assert f"def {name}" in (Path(__file__).parent / file).read_text(encoding="utf-8"), test


@pytest.fixture
def finished(jsonl_file: Callable[..., Path], config: Callable[..., ScoreConfig]) -> Path:
    """The output of a job over five good records and a bad one."""
    records = [*({"id": i, "text": f"a good film {'very ' * i}"} for i in range(5)), {"id": 5, "text": "?!"}]
    job = config(jsonl_file(*records), id_column="id", run_id="r", max_error_rate=1.0)
    score_here(job)
    return Path(job.output.directory)


def lose_a_row(output: Path) -> None:
    path = output / "predictions/part-00000.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)


def double_a_row(output: Path) -> None:
    path = output / "predictions/part-00000.parquet"
    rows = pq.read_table(path)
    pq.write_table(pa.concat_tables([rows, rows.slice(2, 1)]), path)


def leave_a_draft(output: Path) -> None:
    (output / "shards/.00000.json.1.draft").touch()


def lose_the_errors(output: Path) -> None:
    shutil.rmtree(output / "errors")


def write_anew(output: Path) -> None:
    path = output / "predictions/part-00000.parquet"
    pq.write_table(pq.read_table(path), path, compression="none")


@pytest.mark.parametrize(
    ("harm", "lost", "doubled", "told"),
    [
        (lose_a_row, 1, 0, "1 rows are lost"),
        (double_a_row, 0, 1, "1 predictions have an id that an earlier one has"),
        (leave_a_draft, 0, 0, "left over: shards/.00000.json.1.draft"),
        (lose_the_errors, 1, 0, "the manifest's parts are not those that are there"),
        (write_anew, 0, 0, "1 parts differ"),
        (lambda output: (output / "_SUCCESS").unlink(), 0, 0, "there is no _SUCCESS"),
        (lambda output: (output / "manifest.json").unlink(), 0, 0, "there is no manifest"),
    ],
)
def test_harm_to_an_output_is_seen(
    harm: Callable[[Path], None], lost: int, doubled: int, told: str, finished: Path
) -> None:
    before = content(finished)
    assert () == compare(before, before, 6, 0).problems
    assert 1 == len(compare(before, before, 7, 0).problems[:1])
    harm(finished)
    loss = compare(before, content(finished), 6, 0)
    assert (lost, doubled) == (loss.lost, loss.doubled)
    assert told in "; ".join(loss.problems)


SAID = "error: a worker died\n  where:    shard 3\n  got:      process 7 was killed by SIGKILL\n  to fix:   --resume\n"
GOOD = Ended(code=1, said=SAID, at=10.0, left=(), in_tmp=())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, None),
        ({"code": None}, "it had not ended"),
        ({"code": 3}, "exit code 3, expected one of [0, 1]"),
        ({"said": SAID.replace("SIGKILL", "something")}, "it does not say what happened"),
        ({"said": SAID.replace("  where:    shard 3\n", "")}, "it does not say where"),
        ({"said": SAID.replace("--resume", "")}, "it does not say how to resume"),
        ({"said": "Traceback (most recent call last):\n" + SAID}, "a traceback is shown"),
        ({"at": 10.0 + PATIENCE_S}, "it ended 70 s after the fault"),
        ({"left": ("7 python",)}, "processes were left: 7 python"),
        ({"in_tmp": ("x",)}, "temporary files were left: x"),
    ],
)
def test_bad_end_of_a_job_is_seen(changes: dict[str, object], told: str | None, tmp_path: Path) -> None:
    ended = dataclasses.replace(GOOD, **changes)  # type: ignore[arg-type]
    found = list(complaints(ended, FAULTS["worker killed"], tmp_path, 0.0))
    assert ([] if told is None else [told]) == [problem[: len(told or "")] for problem in found]


def test_failure_beside_a_success_and_folder_that_was_left_are_seen(tmp_path: Path) -> None:
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".staging").mkdir()
    found = list(complaints(GOOD, FAULTS["worker killed"], tmp_path, 0.0))
    assert ["exit code 1, and yet there is a _SUCCESS", "the folder for parts in the making was left"] == found


def test_table_adds_up_what_was_saved(tmp_path: Path) -> None:
    one = Struck("worker killed", "", "jsonl", 2, str(Moment("shard", 1)), 1, 9, 1, 2.5, SAID, identical=True)
    other = dataclasses.replace(one, fault="driver killed", done=0, code=-9, end_s=0.1, lost=2, identical=False)
    table.save([one, other], tmp_path / "faults.json")
    assert [one, other] == table.load(tmp_path / "faults.json")
    lines = table.markdown([*table.load(tmp_path / "faults.json"), one]).splitlines()[2:]
    assert [
        "| driver killed | 1 | 0 | 0 | 0 | 1 | 0 | 2 | 0 | 0.1 |",
        "| worker killed | 2 | 2 | 0 | 2 | 0 | 2 | 0 | 0 | 2.5 |",
        "| all, 2 kinds | 3 | 2 | 0 | 2 | 1 | 2 | 2 | 0 | 2.5 |",
    ] == lines
