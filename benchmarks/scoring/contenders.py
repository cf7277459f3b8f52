"""The contenders: what each requires, which batch sizes are tried, and how it is created from an artefact.

The first contender of a run is what the others are compared with.
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

INSTALL = "from a checkout: pip install -e '.[bench]'"
SORTED = (8, 16, 32, 48, 64, 128)
FLOAT32, BFLOAT16 = 1e-3, 0.5  # larger differences between logits are not rounding but a different network


@dataclass(frozen=True)
class Contender:
    """A way to score and explain reviews.

    Args:
        load: creates the scorer in the process that will run it; imports what it needs.
        batch_sizes: those tried before the rounds; the fastest one is used.
        tolerance: largest error of a logit that this precision may cause.
        requires: modules other than the dependencies of the package.
    """

    name: str
    load: Callable[[Artifact], Scorer]
    batch_sizes: tuple[int, ...]
    tolerance: float = FLOAT32
    requires: tuple[str, ...] = ()

    def missing(self) -> tuple[str, ...]:
        """The required modules that are not installed."""
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
    """The contender with this name."""
    return CONTENDERS[NAMES.index(name)]
