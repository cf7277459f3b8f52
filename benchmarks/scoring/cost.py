"""What a precision costs: how far each contender is from our float32 on labelled reviews, and its accuracy there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.config import FLOAT32
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.batch_sizes import BATCH_SIZES
from batch_scorer.models.tokenizer import Ids
from benchmarks.scoring.answers import Batching
from benchmarks.scoring.contenders import prepare
from benchmarks.scoring.crew import Crew
from benchmarks.scoring.measure import shares

REFERENCE, REFERENCE_BATCHING = f"engine {FLOAT32}", Batching(BATCH_SIZES[FLOAT32])
LIMIT = 0.001  # a contender that loses more accuracy than this is marked


@dataclass(frozen=True)
class Labelled:
    """N reviews with labels.

    Args:
        data: the name of their file.
        labels: bool[N], whether they are positive.
    """

    data: str
    ids: Sequence[Ids]
    labels: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Cost:
    """The cost of a contender's precision.

    Args:
        largest, mean: of the differences between its logits and those of our engine in float32.
        changed: how many labels are others than our engine's in float32.
        accuracy: share of labels that are right.
        loses: whether that is less than our engine's in float32 by more than `LIMIT`.
    """

    largest: float
    mean: float
    changed: int
    accuracy: float
    loses: bool


def cost(logit: npt.NDArray[Any], reference: npt.NDArray[Any], labels: npt.NDArray[np.bool_], bound: float) -> Cost:
    """Compares a contender with the reference.

    Args:
        logit, reference: float[N].
        bound: reviews are positive from this logit on.
    """
    off = np.abs(logit - reference)
    positive, expected = logit >= bound, reference >= bound
    accuracy, before = float((positive == labels).mean()), float((expected == labels).mean())
    loses = before - accuracy > LIMIT + 1e-9
    return Cost(float(off.max()), float(off.mean()), int((positive != expected).sum()), accuracy, loses)


def costs(
    artifact: Artifact,
    model: str,
    batchings: Mapping[str, Batching],
    labelled: Labelled,
    processes: int,
    report: Callable[[str], None],
) -> dict[str, Cost]:
    """The cost of each contender, by name. Their processes are started one contender at a time.

    Args:
        artifact: the one in `model`.
        batchings: of each contender.
        report: called with a line of text at each step.

    Raises:
        EngineError: a contender failed.
    """
    parts = shares(np.array([len(x) for x in labelled.ids]), processes)

    def logits(name: str, batching: Batching) -> npt.NDArray[np.float64]:
        report(f"scoring labelled reviews: {name}")
        crew = Crew(name, [partial(prepare, name, model, [labelled.ids[i] for i in part]) for part in parts])
        try:
            _, by_process = crew.turn(batching)
        finally:
            crew.close()
        result = np.empty(len(labelled.ids))
        for part, logit in zip(parts, by_process, strict=True):
            result[part] = logit
        return result

    # With the usual threshold, 0.5, this is 0 at every temperature.
    bound = artifact.temperature * float(np.log(artifact.threshold / (1 - artifact.threshold)))
    reference = logits(REFERENCE, REFERENCE_BATCHING)
    return {
        name: cost(reference if name == REFERENCE else logits(name, batching), reference, labelled.labels, bound)
        for name, batching in batchings.items()
    }
