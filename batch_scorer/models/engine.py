"""The engine for a model: which one, with which TensorFlow settings, and tested before it is used."""

from __future__ import annotations

import os
from typing import Any

from batch_scorer.config import BFLOAT16, FLOAT32
from batch_scorer.errors import OptionError
from batch_scorer.models.artifact import PROBE_TOLERANCE, Artifact, check_probe
from batch_scorer.models.folded_engine import FoldedEngine
from batch_scorer.models.keras_engine import KerasEngine
from batch_scorer.models.lean_tensorflow import lean_tensorflow
from batch_scorer.models.protocol import Engine
from batch_scorer.models.skipping_engine import SkippingEngine
from batch_scorer.models.splitting import Splitting
from batch_scorer.silence import hushed

PROBE_TOLERANCES = {FLOAT32: PROBE_TOLERANCE, BFLOAT16: 0.1}


def load_engine(artifact: Artifact, precision: str = FLOAT32) -> Engine:
    """The engine for a model, on one thread, tested on the model's probe text.

    A network without a mask, whose padding the compiled engine does not know, runs in plain Keras.

    This sets up the process: TensorFlow's threads, XLA's flags, and standard error while TensorFlow loads. With more
    than one thread, XLA cuts its products elsewhere, and float32 logits differ in the last bits. TensorFlow takes the
    number of threads only before its first use; if it has been used with several, they remain. So in a process that is
    not ours, whoever needs the bits of a job runs the engine in a child process, as `Model.score` does.

    Args:
        precision: of the products, one of `config.PRECISIONS`.

    Raises:
        ArtifactError: the engine scores the probe text differently from training.
        OptionError: a network without a mask cannot run in this precision.
    """
    check_precision(artifact, precision)
    with hushed():
        return _load(artifact, precision)


def check_precision(artifact: Artifact, precision: str) -> None:
    """Refuses a precision that only `FoldedEngine` has.

    Raises:
        OptionError: the network has no mask, and the precision is not float32.
    """
    if precision != FLOAT32 and not artifact.architecture.foldable:
        raise OptionError(
            "this variant of the network only runs in float32",
            where="--precision",
            expected="a model with a mask",
            got=f"{precision}, with model {artifact.model_id}, which has none",
            fix="leave --precision out",
        )


def _load(artifact: Artifact, precision: str) -> Engine:
    _prefer_wide_vectors()
    foldable = artifact.architecture.foldable
    tf = (lean_tensorflow() if foldable else None) or _tensorflow()
    try:
        # One process per core scales; threads within a step this small would only wait for each other.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        pass  # TensorFlow is already in use in this process, with its own threads
    engine: Engine = FoldedEngine(artifact, precision=precision, tf=tf) if foldable else KerasEngine(artifact)
    rule = artifact.tokenizer.pattern
    if isinstance(rule, Splitting) and rule.drops_unknown:
        engine = SkippingEngine(engine, artifact.architecture.masked)
    # This also compiles the loops.
    probe = artifact.tokenizer.ids(artifact.tokenizer.words(artifact.manifest["probe"]["text"]))
    check_probe(artifact, float(engine.run([probe]).logit[0]), "the engine", PROBE_TOLERANCES[precision])
    return engine


def _tensorflow() -> Any:
    """TensorFlow, imported without Keras.

    By itself it imports Keras' optimizers, and Keras imports scikit-learn, Matplotlib and pandas where they are
    installed: up to a second and a half for things that scoring does not use. If the older Keras is requested, it
    does not. `tf.keras` is resolved when it is first used, and is then what it always was.
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
    """Makes XLA use the full width of AVX-512 where the processor has it, not half, for what it has yet to compile.

    This has no effect if XLA has already been used in this process. The bits of a result do not depend on it.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_prefer_vector_width" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_prefer_vector_width=512".strip()
