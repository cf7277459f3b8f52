"""Engines for tests: XLA takes a second to compile one, and most tests of jobs ask for that of the same model."""

from __future__ import annotations

import copy
import hashlib
import json

import pytest

from batch_scorer.models import engine
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.protocol import Engine


def compile_each_once(patch: pytest.MonkeyPatch) -> None:
    """Has `load_engine` compile the engine of a model once, and give copies of it from then on."""
    compiled, load = dict[str, Engine](), engine._load

    def load_once(artifact: Artifact, precision: str) -> Engine:
        key = _fingerprint(artifact, precision)
        if key not in compiled:
            compiled[key] = load(artifact, precision)
        return copy.copy(compiled[key])  # a test may replace what one has

    patch.setattr(engine, "_load", load_once)


def _fingerprint(artifact: Artifact, precision: str) -> str:
    """Of all that an engine depends on."""
    words = [precision, json.dumps(artifact.manifest, sort_keys=True, default=str), *artifact.vocabulary]
    digest = hashlib.sha256("\n".join(words).encode())
    for name, tensor in sorted(artifact.tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()
