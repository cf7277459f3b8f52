"""The engine for a model: which one, with which settings of TensorFlow, and tried before it is used."""

from __future__ import annotations

import os
from typing import Any

from batch_scorer.config import BFLOAT16, FLOAT32
from batch_scorer.errors import OptionError
from batch_scorer.models.artifact import PROBE_TOLERANCE, Artifact, check_probe
from batch_scorer.models.folded_engine import FoldedEngine
from batch_scorer.models.keras_engine import KerasEngine
from batch_scorer.models.protocol import Engine
from batch_scorer.models.tokenizer import words
from batch_scorer.silence import hushed

PROBE_TOLERANCES = {FLOAT32: PROBE_TOLERANCE, BFLOAT16: 0.1}


def load_engine(artifact: Artifact, precision: str = FLOAT32) -> Engine:
    """The engine for a model, on one thread, tried on the model's probe text.

    Plain Keras (`keras_engine`) runs the notebook's variant, whose padding and gates the folded one does not know.

    Args:
        precision: of the products, one of `config.PRECISIONS`.

    Raises:
        ArtifactError: the engine scores the probe text otherwise than training did.
        OptionError: the notebook's variant is asked for in another precision than float32.
    """
    check_precision(artifact, precision)
    with hushed():
        return _load(artifact, precision)


def check_precision(artifact: Artifact, precision: str) -> None:
    """Refuses what only `FoldedEngine` can do.

    Raises:
        OptionError: the notebook's variant is asked for in another precision than float32.
    """
    if precision != FLOAT32 and not artifact.architecture.foldable:
        raise OptionError(
            "this variant of the network runs in float32 only",
            where="--precision",
            expected="a model with a mask and sigmoid gates",
            got=f"{precision}, with the notebook's variant {artifact.model_id}",
            fix="leave --precision out",
        )


def _load(artifact: Artifact, precision: str) -> Engine:
    _prefer_wide_vectors()
    tf = _tensorflow()
    try:
        # One process a core scales; threads within a step this small only wait for each other.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        pass  # TensorFlow is in use in this process already, with its own threads; results are the same
    foldable = artifact.architecture.foldable
    engine: Engine = FoldedEngine(artifact, precision=precision) if foldable else KerasEngine(artifact)
    # Compiles the loops of one length too.
    probe = artifact.tokenizer.ids(words(artifact.manifest["probe"]["text"]))
    check_probe(artifact, float(engine.run([probe]).logit[0]), "the engine", PROBE_TOLERANCES[precision])
    return engine


def _tensorflow() -> Any:
    """TensorFlow, imported without Keras.

    On its own account it would import Keras' optimizers, and Keras whatever it finds of scikit-learn, Matplotlib and
    pandas: up to a second and a half that scoring has no use for. Where the older Keras is asked for, it does not;
    `tf.keras` is looked up when it is first used, and is what it always was by then.
    """
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    try:
        import tensorflow
    finally:
        if before is None:
            del os.environ["TF_USE_LEGACY_KERAS"]
        else:
            os.environ["TF_USE_LEGACY_KERAS"] = before
    return tensorflow


def _prefer_wide_vectors() -> None:
    """Has XLA use all of AVX-512, where the processor has it, and not half; for what it has not compiled yet.

    Without effect if XLA was used in this process before. A result's bits do not depend on it.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_prefer_vector_width" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_prefer_vector_width=512".strip()
