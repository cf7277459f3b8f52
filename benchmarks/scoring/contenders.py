"""The contenders: what each needs, which batch sizes are tried, and how it is made from an artefact.

The first in a run is what the others are compared with.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.folded_engine import BATCH_SIZES
from benchmarks.scoring import onnx_side, tensorflow_side, torch_side
from benchmarks.scoring.answers import Scorer

INSTALL = "pip install -e '.[bench]'"
SORTED = (8, 16, 32, 48, 64, 128)
FLOAT32, BFLOAT16 = 1e-3, 0.5  # a logit off by more than that is another network's, not rounding


@dataclass(frozen=True)
class Contender:
    """A way to score and explain reviews.

    Args:
        load: makes the scorer, in the process that will run it; imports what it needs itself.
        batch_sizes: those tried before the rounds; the fastest is taken.
        tolerance: by how much a logit may be off in this precision before the run is refused.
        requires: modules beyond the package's own.
    """

    name: str
    load: Callable[[Artifact], Scorer]
    batch_sizes: tuple[int, ...]
    tolerance: float = FLOAT32
    requires: tuple[str, ...] = ()

    def missing(self) -> tuple[str, ...]:
        """The modules it requires that are not installed."""
        return tuple(module for module in self.requires if importlib.util.find_spec(module) is None)


CONTENDERS = (
    Contender("keras predict", tensorflow_side.keras_predict, (32, 64, 128)),  # 32 is Keras' own default
    Contender("keras sorted", tensorflow_side.keras_sorted, (32, 64, 128)),
    *(
        Contender(f"engine {name}", partial(tensorflow_side.engine, precision=name), (size,), tolerance)
        for (name, size), tolerance in zip(BATCH_SIZES.items(), (FLOAT32, BFLOAT16), strict=True)
    ),
    Contender("onnxruntime float32", onnx_side.onnxruntime, SORTED, FLOAT32, ("onnx", "onnxruntime")),
    Contender("openvino float32", partial(onnx_side.openvino, precision="f32"), SORTED, FLOAT32, ("onnx", "openvino")),
    Contender(
        "openvino bfloat16", partial(onnx_side.openvino, precision="bf16"), SORTED, BFLOAT16, ("onnx", "openvino")
    ),
    Contender("pytorch float32", partial(torch_side.pytorch, precision="float32"), SORTED, FLOAT32, ("torch",)),
    Contender("pytorch bfloat16", partial(torch_side.pytorch, precision="bfloat16"), SORTED, BFLOAT16, ("torch",)),
)
NAMES = tuple(contender.name for contender in CONTENDERS)


def named(name: str) -> Contender:
    """The contender of this name."""
    return CONTENDERS[NAMES.index(name)]
