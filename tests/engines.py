"""Engines for tests: XLA takes a second to compile one, and most tests of jobs ask for that of the same model."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from batch_scorer.models import engine
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.protocol import Engine
from tests import plain_engine
from tests.chaos.gate import INSIDE, PLAIN, ROOT


def compile_each_once(patch: pytest.MonkeyPatch) -> None:
    """Has `load_engine` compile the engine of a model once, and give copies of it from then on."""
    compiled, load = dict[str, Engine](), engine._load

    def load_once(artifact: Artifact, precision: str) -> Engine:
        key = _fingerprint(artifact, precision)
        if key not in compiled:
            compiled[key] = load(artifact, precision)
        return copy.copy(compiled[key])  # a test may replace what one has

    patch.setattr(engine, "_load", load_once)


@contextmanager
def plain_engines() -> Iterator[None]:
    """Jobs that run meanwhile score by `tests.plain_engine`, in this process and in those that they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_load", plain_engine.load)
        patch.syspath_prepend(INSIDE)
        patch.setenv(
            "PYTHONPATH", os.pathsep.join([str(INSIDE), str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
        )
        for name, value in PLAIN.items():
            patch.setenv(name, value)
        yield


def _fingerprint(artifact: Artifact, precision: str) -> str:
    """Of all that an engine depends on."""
    words = [precision, json.dumps(artifact.manifest, sort_keys=True, default=str), *artifact.vocabulary]
    digest = hashlib.sha256("\n".join(words).encode())
    for name, tensor in sorted(artifact.tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()
