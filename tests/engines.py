"""Engines for tests: to import TensorFlow takes seconds, and to compile a model one more. Most tests need neither."""

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
from tests.chaos.gate import INSIDE, PLAIN

_load, _compiled = engine._load, dict[str, Engine]()


@contextmanager
def plain_engines() -> Iterator[None]:
    """Jobs of small models score by `tests.plain_engine` meanwhile, in this process and in those that they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_load", plain_engine.replace(_tensorflow))
        patch.syspath_prepend(INSIDE)
        before = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
        patch.setenv("PYTHONPATH", os.pathsep.join([str(INSIDE), *before]))
        for name, value in PLAIN.items():
            patch.setenv(name, value)
        yield


@contextmanager
def tensorflow_engines() -> Iterator[None]:
    """They score by TensorFlow all the same: where a test is about that, or about jobs as they really are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_load", _tensorflow)
        for name in PLAIN:
            patch.delenv(name)
        yield


def _tensorflow(artifact: Artifact, precision: str) -> Engine:
    """Compiles the engine of a model once, and gives copies of it from then on."""
    key = _fingerprint(artifact, precision)
    if key not in _compiled:
        _compiled[key] = _load(artifact, precision)
    return copy.copy(_compiled[key])  # a test may replace what one has


def _fingerprint(artifact: Artifact, precision: str) -> str:
    """Of all that an engine depends on."""
    words = [precision, json.dumps(artifact.manifest, sort_keys=True, default=str), *artifact.vocabulary]
    digest = hashlib.sha256("\n".join(words).encode())
    for name, tensor in sorted(artifact.tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()
