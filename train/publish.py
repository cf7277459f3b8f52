"""Writes a fitted network and what is known of its data as a model artefact."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.models import artifact
from batch_scorer.models.calibration import ConfidenceCurve
from batch_scorer.models.network import Architecture, probability
from batch_scorer.models.profile import measure
from batch_scorer.models.scripts import COUNT, script_counts
from batch_scorer.models.subwords import WORD_START, SubwordTokenizer
from batch_scorer.models.tokenizer import OOV, RESERVED, Tokenizer
from train.fit import Fitted
from train.prepare import Prepared

PROBE = "An honest film: slow to start, but the last hour is wonderful and I would happily watch it again."
PROBE_WORDS = 20


def publish(
    output: Path, name: str, architecture: Architecture, data: Prepared, fitted: Fitted, recipe: Any,
    provenance: Mapping[str, Any] = MappingProxyType({}),
) -> str:  # fmt: skip
    """Writes the artefact into `output` and returns its model id.

    Args:
        recipe: the settings that the network was fitted with, a dataclass.
        provenance: what else it was fitted with, for the artefact to record, as JSON.
    """
    import keras
    import tensorflow as tf

    validation, tokenizer = data.validation, data.tokenizer
    p = probability(fitted.validation_logits / fitted.temperatures(validation), 1.0)
    return artifact.save(
        str(output),
        name=name,
        architecture=architecture,
        vocabulary=data.vocabulary,
        tensors=fitted.tensors,
        max_words=tokenizer.max_words,
        temperature=fitted.temperature,
        threshold=0.5,
        training_profile=measure(
            validation.n_tokens,
            validation.n_read,
            validation.count(OOV),
            p,
            scripts=_scripts(data.texts.get("validation", ()), tokenizer),
            n_ids=validation.n_ids,
        ),
        aliases=tokenizer.aliases,
        pattern=tokenizer.pattern,
        max_windows=tokenizer.max_windows,
        scores=tokenizer.scores if isinstance(tokenizer, SubwordTokenizer) else None,
        calibration=fitted.calibration,
        confidence_curve=ConfidenceCurve.measure(p, validation.labels),
        metrics={"validation": fitted.validation},
        training={
            "recipe": dataclasses.asdict(recipe),
            "epoch": fitted.epoch,
            "reviews": len(data.training),
            "validation_reviews": len(validation),
            "unlabelled_reviews": len(data.unlabelled),
            **provenance,
            "data_sha256": data.fingerprint,
            "split_by": data.split_by,
            **({"labels": data.labelling} if data.labelling else {}),
        },
        versions={"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__},
        probe_text=_probe(data),
    )


def _scripts(texts: Sequence[str], tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
    """Words by script: int64[N, S]. Where only words are known, they are those of Keras' files, which are English."""
    counts = np.zeros((len(texts), COUNT), np.int64)
    for row, text in enumerate(texts):
        found = script_counts(text, tokenizer.words(text))
        if found is not None:
            counts[row] = found
    return counts


def _probe(data: Prepared) -> str:
    """What the model is tested on whenever it is loaded: with pieces, words that it knows, whatever their language."""
    if not isinstance(data.tokenizer, SubwordTokenizer):
        return PROBE
    known = [piece.removeprefix(WORD_START) for piece in data.vocabulary[len(RESERVED) :]]
    return " ".join([PROBE, *[word for word in known if len(word) > 1][:PROBE_WORDS]])
