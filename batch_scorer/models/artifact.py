"""The model artefact: a directory that holds a model, can prove that it is undamaged, and cannot run code.

MODEL_ID              sha256 of manifest.json, in hex
manifest.json         architecture, tokenizer, calibration, provenance, sha256 of the files below, a probe
vocabulary.txt        one token per line; the line number is the id
weights.safetensors   the tensors of `Architecture.tensor_shapes`, float32
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from batch_scorer import storage
from batch_scorer.errors import ArtifactError
from batch_scorer.models import artifact_files as files
from batch_scorer.models import manifest_schema
from batch_scorer.models.artifact_files import MANIFEST, MODEL_ID, VOCABULARY, WEIGHTS
from batch_scorer.models.json_schema import first_fault
from batch_scorer.models.network import Architecture, Floats, forward
from batch_scorer.models.profile import Profile
from batch_scorer.models.tokenizer import Tokenizer, words
from batch_scorer.schema import FORMAT_VERSION

SHIPPED = str(Path(__file__).parent / "imdb")
PROBE_TOLERANCE = 1e-3  # a float32 logit against the float64 one; a wrong tensor or gate order is off by far more


@dataclass(frozen=True)
class Artifact:
    """A model, loaded and verified.

    Args:
        model_id: first 12 hex digits of the sha256 of the manifest.
        manifest: the contents of `manifest.json` (schema: `schemas/artifact.json`).
        vocabulary: the token of each id.
        tensors: name -> float32 array, as in `Architecture.tensor_shapes`.
    """

    model_id: str
    manifest: Mapping[str, Any]
    vocabulary: tuple[str, ...]
    tensors: Mapping[str, Floats]

    @property
    def architecture(self) -> Architecture:
        return Architecture(**self.manifest["architecture"])

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return Tokenizer(self.vocabulary, self.manifest["tokenizer"]["max_words"], self.architecture.max_length)

    @property
    def temperature(self) -> float:
        return float(self.manifest["temperature"])

    @property
    def threshold(self) -> float:
        return float(self.manifest["threshold"])

    @property
    def training_profile(self) -> Profile:
        return Profile.from_json(self.manifest["training_profile"])


def save(
    directory: str,
    *,
    name: str,
    architecture: Architecture,
    vocabulary: Sequence[str],
    tensors: Mapping[str, Floats],
    max_words: int,
    temperature: float,
    threshold: float,
    training_profile: Profile,
    metrics: Mapping[str, Any],
    training: Mapping[str, Any],
    versions: Mapping[str, str],
    probe_text: str,
) -> str:
    """Writes an artefact to the local `directory` and returns its model id.

    Args:
        training: where the model comes from: fingerprint of the data, recipe, split.
        probe_text: a short review; its logit is stored, and checked whenever the model is loaded.

    Raises:
        ArtifactError: `load` would refuse the model: it is too large, or something in it is not a number.
    """
    from safetensors.numpy import save as to_safetensors

    files.check_size(architecture, storage.join(directory, MANIFEST))
    contents = {
        VOCABULARY: "\n".join(vocabulary).encode(),
        WEIGHTS: to_safetensors({k: np.ascontiguousarray(v, np.float32) for k, v in tensors.items()}),
    }
    _check_loads(lambda: files.tokens(bytearray(contents[VOCABULARY]), architecture, VOCABULARY))
    _check_loads(lambda: files.tensors(bytearray(contents[WEIGHTS]), architecture, WEIGHTS))
    probe_ids = Tokenizer(vocabulary, max_words, architecture.max_length).ids(words(probe_text))
    manifest = {
        "format_version": FORMAT_VERSION,
        "name": name,
        "architecture": architecture.to_json(),
        "tokenizer": {**manifest_schema.TOKENIZER, "max_words": max_words},
        "temperature": temperature,
        "threshold": threshold,
        "training_profile": training_profile.to_json(),
        "metrics": dict(metrics),
        "training": dict(training),
        "versions": dict(versions),
        "files": {file: hashlib.sha256(data).hexdigest() for file, data in contents.items()},
        "probe": {"text": probe_text, "logit": forward(tensors, architecture, probe_ids).logit},
    }
    text = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
    _check_loads(lambda: _parse("", bytearray(text)))
    model_id = hashlib.sha256(text).hexdigest()
    for file, data in {**contents, MANIFEST: text, MODEL_ID: f"{model_id}\n".encode()}.items():
        storage.publish_bytes(data, os.path.join(directory, file))
    return model_id[:12]


def _check_loads(part: Callable[[], object]) -> None:
    """Raises if `part` of loading refuses what is about to be written."""
    try:
        part()
    except ArtifactError as error:
        raise ArtifactError(
            "the model is not written, since it could not be loaded again",
            where=error.where,
            expected=error.expected,
            got=error.got,
            fix="train again, on more reviews or with another --seed",
        ) from error


def load(directory: str) -> Artifact:
    """Reads and verifies the artefact in `directory`, local or remote. No file is parsed before its hash is verified.

    Integrity, not authenticity: mistakes and damage are detected, a deliberate forgery is not.

    Raises:
        ArtifactError: a file is missing or damaged, a size, a shape or the version is wrong, or the probe fails.
    """
    model_id = files.model_id(directory)
    manifest = _parse(directory, files.read(directory, MANIFEST, files.MANIFEST_BYTES, model_id))
    architecture, sha256 = Architecture(**manifest["architecture"]), manifest["files"]
    vocabulary = files.read(directory, VOCABULARY, files.vocabulary_limit(architecture), sha256[VOCABULARY])
    weights = files.read(directory, WEIGHTS, files.weights_limit(architecture), sha256[WEIGHTS])
    artifact = Artifact(
        model_id[:12],
        manifest,
        files.tokens(vocabulary, architecture, storage.join(directory, VOCABULARY)),
        files.tensors(weights, architecture, storage.join(directory, WEIGHTS)),
    )
    probe_ids = artifact.tokenizer.ids(words(manifest["probe"]["text"]))
    with np.errstate(over="ignore", invalid="ignore"):  # relu gates have no upper bound; the probe will tell
        logit = forward(artifact.tensors, architecture, probe_ids).logit
    check_probe(artifact, logit, storage.join(directory, WEIGHTS))
    return artifact


def _parse(directory: str, text: bytearray) -> dict[str, Any]:
    path = storage.join(directory, MANIFEST)
    try:
        # NaN and infinities are not JSON: as strings they fail the schema, and the message says where.
        manifest = json.loads(text.decode("utf-8"), parse_constant=str)
        wrong = first_fault(manifest_schema.ARTIFACT, manifest)
    except (ValueError, RecursionError) as error:
        raise files.damaged(path, "JSON", f"{error!s:.200}") from error
    version = manifest.get("format_version") if isinstance(manifest, dict) else FORMAT_VERSION
    if version != FORMAT_VERSION:
        newer = isinstance(version, int) and version > FORMAT_VERSION
        raise ArtifactError(
            f"this version cannot read the model artefact: its format is {'newer' if newer else 'different'}",
            where=path,
            expected=f"format_version {FORMAT_VERSION}",
            got=f"format_version {version!r:.80}",
            fix=f"install {'a newer batch-scorer' if newer else 'the batch-scorer that wrote it'}, "
            "or train the model again",
        )
    if wrong:
        raise files.damaged(f"{path}, {wrong.where}", wrong.expected, wrong.got)
    architecture, max_words = Architecture(**manifest["architecture"]), manifest["tokenizer"]["max_words"]
    if max_words > architecture.max_words:
        raise files.damaged(f"{path}, tokenizer, max_words", f"at most {architecture.max_words}", max_words)
    files.check_size(architecture, path)
    return manifest  # type: ignore[no-any-return]


def check_probe(artifact: Artifact, logit: float, where: str, tolerance: float = PROBE_TOLERANCE) -> None:
    """Compares the logit computed for the probe text with the one stored at training.

    Raises:
        ArtifactError: they differ by more than `tolerance`.
    """
    expected = artifact.manifest["probe"]["logit"]
    if not abs(logit - expected) <= tolerance:
        raise ArtifactError(
            "the model does not score its probe text as it did when it was trained",
            where=where,
            expected=f"logit {expected:.6f} within {tolerance}",
            got=f"logit {logit:.6f}",
            fix="copy the artefact again, or train the model again",
        )
