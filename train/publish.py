"""Writes a fitted network and what is known of its data as a model artefact."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from batch_scorer.models import artifact
from batch_scorer.models.calibration import ConfidenceCurve
from batch_scorer.models.network import Architecture, probability
from batch_scorer.models.profile import measure
from batch_scorer.models.tokenizer import OOV, foreign_words
from train.fit import Fitted
from train.prepare import Prepared

PROBE = "An honest film: slow to start, but the last hour is wonderful and I would happily watch it again."


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
    # Where only words are known, they are those of Keras' files, which are English.
    texts = data.texts.get("validation")
    foreign = None if texts is None else np.array([foreign_words(text, tokenizer.words(text)) for text in texts])
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
        training_profile=measure(validation.n_tokens, validation.n_read, validation.count(OOV), p, foreign),
        aliases=tokenizer.aliases,
        pattern=tokenizer.pattern,
        max_windows=tokenizer.max_windows,
        calibration=fitted.calibration,
        confidence_curve=ConfidenceCurve.measure(p, validation.labels) if fitted.calibration else None,
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
        probe_text=PROBE,
    )
