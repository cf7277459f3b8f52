"""Whole jobs whose engine fails on some reviews of 1,500: these alone are lost, and no other changes by a bit."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from batch_scorer.config import FLOAT32, ScoreConfig
from batch_scorer.errors import PipelineError
from batch_scorer.models import engine
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.batch_sizes import BATCH_SIZES
from batch_scorer.models.engine import load_engine
from batch_scorer.models.folded_engine import FoldedEngine
from batch_scorer.models.keras_engine import KerasEngine
from batch_scorer.models.protocol import Engine, Scores
from batch_scorer.models.tokenizer import Ids
from tests.conftest import WORDS
from tests.jobs import rows, score_here
from tests.processes import GUARD_S

REVIEWS = 1_500
SHARD_ROWS = 510  # three shards, so that each has batches of its own
LETTERS = 4  # words that number a review: 18 ** 4 is more than all of them


def text(number: int) -> str:
    """A review that no other one is equal to: its number in words, and by chance up to twelve more."""
    digits = [WORDS[number // len(WORDS) ** place % len(WORDS)] for place in range(LETTERS)]
    more = random.Random(number)
    return " ".join([*(more.choice(WORDS) for _ in range(more.randrange(13))), *digits])


@dataclass
class Failing:
    """The engine of a model, but for some reviews, which it knows by their ids; counts its batches.

    Args:
        bad: ids of the reviews to fail on.
        how: what it does with a batch that has some: raise this, or give those this logit.
        batches: the ids of all reviews it was given, batch by batch.
    """

    real: Engine
    bad: frozenset[bytes]
    how: Exception | float
    batches: list[list[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.batch_size, self.bias = self.real.batch_size, self.real.bias

    def run(self, batch: Sequence[Ids]) -> Scores:
        self.batches.append([ids.tobytes() for ids in batch])
        wrong = np.array([ids in self.bad for ids in self.batches[-1]])
        scores = self.real.run(batch)
        if not wrong.any():
            return scores
        if isinstance(self.how, Exception):
            raise self.how
        return Scores(np.where(wrong, self.how, scores.logit), scores.attention, scores.contribution)


@pytest.fixture(scope="module")
def real(tiny: Artifact) -> Engine:
    return load_engine(tiny)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,500 reviews, each unlike the others."""
    path = tmp_path_factory.mktemp("corpus") / "reviews.jsonl"
    lines = (json.dumps({"id": f"r{number}", "text": text(number)}) for number in range(REVIEWS))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


Job = tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]], Failing]


@pytest.fixture(scope="module")
def job(
    corpus: Path, tiny_model: Path, tiny: Artifact, real: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Job]:
    """Runs a job over `corpus` with an engine that fails on the reviews told: manifest, predictions, errors, engine."""

    def run(bad: Sequence[int] = (), how: Exception | float = 0.0) -> Job:
        output = tmp_path_factory.mktemp("job") / "out"
        config = ScoreConfig.of(
            (str(corpus),),
            str(output),
            str(tiny_model),
            id_column="id",
            run_id="run",
            workers=1,
            shard_rows=SHARD_ROWS,
            max_error_rate=0.04,
        )
        failing = Failing(real, frozenset(tiny.tokenizer.ids(text(i).split()).tobytes() for i in bad), how)
        assert len(bad) == len(failing.bad)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine, "load_engine", lambda artifact, precision: failing)
            manifest = score_here(config)
        return manifest, rows(output), rows(output, "errors"), failing

    return run


@pytest.fixture(scope="module")
def undisturbed(job: Callable[..., Job]) -> Job:
    return job()


CASES: dict[str, tuple[list[int], Exception | float]] = {
    "one raises": ([789], ValueError("no such id")),
    "one is NaN": ([789], math.nan),
    "one is infinite": ([789], -math.inf),
    "the first": ([0], RuntimeError("broken")),
    "the last": ([REVIEWS - 1], RuntimeError("broken")),
    "first and last": ([0, REVIEWS - 1], math.nan),
    "one a shard": ([1, 600, 1_200], tf.errors.InvalidArgumentError(None, None, "out of range")),
    "a dozen anywhere": (random.Random(1).sample(range(REVIEWS), 12), OSError("gone")),
}


def test_undisturbed_run_scores_every_review_once(undisturbed: Job) -> None:
    manifest, scored, errors, engine = undisturbed
    assert [f"r{number}" for number in range(REVIEWS)] == [row["record_id"] for row in scored]
    assert ([], REVIEWS) == (errors, manifest["counts"]["scored"])
    assert REVIEWS == len({ids for batch in engine.batches for ids in batch}) == sum(map(len, engine.batches))


@pytest.mark.parametrize("case", CASES)
def test_reviews_that_the_engine_fails_on_are_lost_and_no_other_changes_by_a_bit(
    case: str, job: Callable[..., Job], undisturbed: Job
) -> None:
    assert_only_these_are_lost(*CASES[case], job, undisturbed)


@pytest.mark.parametrize("how", [ValueError("no such id"), math.nan], ids=["raises", "NaN"])
@pytest.mark.parametrize("places", [[0], [0, -1], [10, 11, 30], slice(1, None)], ids=str)
def test_reviews_of_one_batch_that_the_engine_fails_on_are_lost_and_no_other(
    places: list[int] | slice, how: Exception | float, job: Callable[..., Job], undisturbed: Job, tiny: Artifact
) -> None:
    number = {tiny.tokenizer.ids(text(i).split()).tobytes(): i for i in range(REVIEWS)}
    batch = undisturbed[3].batches[20]
    assert BATCH_SIZES[FLOAT32] == len(batch)
    assert_only_these_are_lost([number[batch[row]] for row in np.arange(len(batch))[places]], how, job, undisturbed)


def assert_only_these_are_lost(
    bad: Sequence[int], how: Exception | float, job: Callable[..., Job], undisturbed: Job
) -> None:
    manifest, scored, errors, failing = job(bad, how)
    lost = {f"r{number}" for number in bad}
    assert len(lost) == len(errors)
    assert lost == {row["record_id"] for row in errors}
    assert {("score", "engine_failed")} == {(row["stage"], row["code"]) for row in errors}
    # Row by row, in the order of the input, all of each: floats that are equal here have the same bits.
    assert [row for row in undisturbed[1] if row["record_id"] not in lost] == scored
    counts = {"read": REVIEWS, "scored": REVIEWS - len(bad), "rejected": len(bad), "unreadable": 0, "empty": 0}
    assert counts == manifest["counts"]
    assert manifest["not_a_success"] is None

    # A batch is cut in two until the review is alone: two more calls a halving, and no more halvings than that takes.
    halvings = math.ceil(math.log2(failing.batch_size))
    more = len(failing.batches) - len(undisturbed[3].batches)
    print(f"{len(bad)} of {REVIEWS:,} reviews fail: {more} calls more than {len(undisturbed[3].batches)}")
    assert 0 < more <= 2 * halvings * len(bad)


def test_message_about_a_failed_review_is_the_exceptions_class_and_first_line(job: Callable[..., Job]) -> None:
    said = "no such id\nthe whole of a traceback"
    _, _, errors, _ = job([17], ValueError(said))
    assert ["ValueError: no such id"] == [row["message"] for row in errors]
    _, _, errors, _ = job([17], RuntimeError("x" * 10_000))
    assert 200 == len(errors[0]["message"])


@pytest.mark.parametrize("how", [MemoryError("std::bad_alloc"), MemoryError()])
def test_want_of_memory_fails_the_job_and_blames_no_review(how: MemoryError, job: Callable[..., Job]) -> None:
    with pytest.raises(PipelineError) as caught:
        job([789], how)
    assert "too little memory" in str(caught.value)


@pytest.mark.parametrize("kind", [FoldedEngine, KerasEngine])
def test_tensorflow_without_memory_is_a_memory_error(
    kind: type[Any], tiny: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    starved = kind(tiny)

    def exhausted(*_: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[500,128]")

    programs = {tiny.architecture.max_length: exhausted}
    monkeypatch.setattr(starved, *(("_programs", programs) if kind is FoldedEngine else ("_run", exhausted)))
    with pytest.raises(MemoryError, match="TensorFlow"):
        starved.run([np.array([1, 3], np.int32)])


def test_engine_in_a_process_that_may_take_no_more_memory_raises_a_memory_error() -> None:
    code = """
import resource
import numpy as np
from batch_scorer.models.artifact import SHIPPED, load
from batch_scorer.models.keras_engine import KerasEngine

model = load(SHIPPED)
KerasEngine(model, batch_size=10).run([np.array([1, 3], np.int32)])  # makes what TensorFlow could not do without
engine = KerasEngine(model, batch_size=4_000)
engine._run.get_concrete_function()
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (256 << 20),) * 2)  # far below a tensor of the batch
try:
    engine.run([np.array([1, 3], np.int32)])
except MemoryError as error:
    print("MemoryError", error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=GUARD_S, check=False)
    assert (0, True) == (done.returncode, done.stdout.startswith("MemoryError")), done.stderr[-2000:]
