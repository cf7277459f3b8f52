"""Runs both sides as commands in new processes, `batch-scorer score` and the first try, and compares their answers."""

from __future__ import annotations

import glob
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scorer.errors import EngineError
from benchmarks.job.processes import Ran, run_watched
from benchmarks.job.reviews import Source, cut

ROOT = Path(__file__).parents[2]  # where `python -m` finds both
TOLERANCE = 1e-3  # of logits and of probabilities
# Quiet and without a GPU, as the command sets it for itself.
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "ERROR", "CUDA_VISIBLE_DEVICES": "-1"}


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Args:
        model: directory of the artefact.
        reviews: how many the command scores in each round.
        first_try_reviews: how many of these the first try scores, which is slower.
        grow: numbers of reviews that the command scores once each, ascending.
        workers: processes of the command; None leaves the choice to the command.
    """

    source: Source
    model: str
    reviews: int
    first_try_reviews: int
    rounds: int
    grow: Sequence[int]
    workers: int | None = None


@dataclass(frozen=True)
class Workplace:
    """The commands and a directory for their inputs and outputs."""

    settings: Settings
    directory: Path

    def cut(self, reviews: int) -> Path:
        """A file with the first `reviews` reviews, created on first use.

        Raises:
            InputError: the reviews cannot be read.
        """
        path = self.directory / f"{reviews}.parquet"
        if not path.exists():
            cut(self.settings.source, reviews, path)
        return path

    def score(self, reviews: Path) -> tuple[Ran, dict[str, Any], pa.Table]:
        """Runs the complete command.

        Returns:
            The run, its manifest, and its answers: `id`, `logit` and `probability`.

        Raises:
            JobError: it failed, or was not a success.
        """
        output = self.directory / "out"
        options = [str(reviews), "--output", str(output), "--id-column", "id", "--model", self.settings.model]
        options += ["--worker-timeout", "600"]  # a busy machine spoils the figures, but is no reason to fail
        if self.settings.workers:
            options += ["--workers", str(self.settings.workers)]
        ran = self._run("batch_scorer", "score", *options)
        manifest = json.loads((output / "manifest.json").read_text())
        answers = _read(f"{output}/predictions/*.parquet", ["record_id", "logit", "probability"])
        shutil.rmtree(output)  # half a million reviews take hundreds of megabytes
        return ran, manifest, answers.rename_columns(["id", "logit", "probability"])

    def first_try(self, reviews: Path) -> tuple[Ran, pa.Table]:
        """Runs the first try; returns the run and its answers.

        Raises:
            JobError: it failed.
        """
        output = self.directory / "first-try"
        output.mkdir()
        ran = self._run("benchmarks.job.first_try", str(reviews), str(output / "part"), "--model", self.settings.model)
        answers = _read(f"{output}/*.parquet", ["id", "logit", "probability"])
        shutil.rmtree(output)
        return ran, answers

    def _run(self, module: str, *options: str) -> Ran:
        return run_watched([sys.executable, "-m", module, *options], ROOT, {**os.environ, **ENVIRONMENT})


def check_answers(ours: pa.Table, theirs: pa.Table) -> float:
    """The largest difference between logits or probabilities, over the reviews that both sides have scored.

    Args:
        ours: answers of the command, which rejects reviews without words.
        theirs: answers of the first try, which scores those too.

    Raises:
        EngineError: the difference exceeds `TOLERANCE`, or a review is missing: the sides would not do the same work.
    """
    both = ours.join(theirs, "id", join_type="inner", right_suffix="_of_first_try")
    if not len(ours) or len(both) != len(ours):
        raise EngineError(
            "the two sides did not score the same reviews",
            expected=f"all {len(ours):,} reviews of the command",
            got=f"{len(both):,} of them",
        )
    off = max(
        float(np.abs(pc.subtract(both[name], both[f"{name}_of_first_try"]).to_numpy()).max())
        for name in ("logit", "probability")
    )
    if not off <= TOLERANCE:
        raise EngineError(
            "the two sides do not agree",
            expected=f"logits and probabilities within {TOLERANCE:g}",
            got=f"a difference of {off:.3g}",
        )
    return off


def _read(pattern: str, columns: list[str]) -> pa.Table:
    return pa.concat_tables([pq.read_table(path, columns=columns) for path in sorted(glob.glob(pattern))])
