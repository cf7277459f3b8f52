"""The contenders: what each requires, which batches are tried, and how it is created from an artefact.

The first contender of a run is what the others are compared with.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from batch_scorer.models.artifact import Artifact, load
from batch_scorer.models.batch_sizes import BATCH_SIZES
from batch_scorer.models.tokenizer import Ids
from benchmarks.scoring import onnx_side, tensorflow_side, torch_side
from benchmarks.scoring.answers import Batching, Scorer
from benchmarks.scoring.crew import Turn

INSTALL = "from a checkout: pip install -e '.[bench]'"
# Batches of equal length are never full: of 5 000 reviews, about ten share a length.
ANY = (*map(Batching, (8, 16, 32, 48, 64, 128)), *(Batching(size, equal=True) for size in (8, 32)))
KERAS = (Batching(32), Batching(64), Batching(128))  # 32 is Keras' own default
# Larger differences between logits are not rounding but a different network.
FLOAT32, BFLOAT16, INT8 = 1e-3, 0.5, 1.0
ONNXRUNTIME, OPENVINO = ("onnx", "onnxruntime"), ("onnx", "openvino")


@dataclass(frozen=True)
class Contender:
    """A way to score and explain reviews.

    Args:
        load: creates the scorer in the process that will run it; imports what it needs.
        batchings: those tried before the rounds; the fastest one is used.
        tolerance: largest error of a logit that this precision may cause.
        requires: modules other than the dependencies of the package.
    """

    name: str
    load: Callable[[Artifact], Scorer]
    batchings: tuple[Batching, ...]
    tolerance: float = FLOAT32
    requires: tuple[str, ...] = ()

    def missing(self) -> tuple[str, ...]:
        """The required modules that are not installed."""
        return tuple(module for module in self.requires if importlib.util.find_spec(module) is None)


CONTENDERS = (
    Contender("keras predict", tensorflow_side.keras_predict, KERAS),
    Contender("keras sorted", tensorflow_side.keras_sorted, KERAS),
    *(
        Contender(f"engine {name}", partial(tensorflow_side.engine, precision=name), (Batching(size),), tolerance)
        for (name, size), tolerance in zip(BATCH_SIZES.items(), (FLOAT32, BFLOAT16), strict=True)
    ),
    *(
        Contender(f"onnxruntime {name}", partial(onnx_side.onnxruntime, precision=name), ANY, tolerance, ONNXRUNTIME)
        for name, tolerance in (("float32", FLOAT32), ("int8", INT8))
    ),
    *(
        Contender(f"openvino {name}", partial(onnx_side.openvino, precision=name), ANY, tolerance, OPENVINO)
        for name, tolerance in (("float32", FLOAT32), ("bfloat16", BFLOAT16), ("int8", INT8))
    ),
    *(
        Contender(f"pytorch {name}", partial(torch_side.pytorch, precision=name), ANY, tolerance, ("torch",))
        for name, tolerance in (("float32", FLOAT32), ("bfloat16", BFLOAT16), ("int8", INT8))
    ),
)
NAMES = tuple(contender.name for contender in CONTENDERS)


def named(name: str) -> Contender:
    """The contender with this name."""
    return CONTENDERS[NAMES.index(name)]


def prepare(name: str, model: str, ids: Sequence[Ids]) -> Turn:
    """Loads a contender in a worker process; its turns score `ids` and return their logits."""
    scorer = named(name).load(load(model))
    return lambda batching: scorer(ids, batching).logit
