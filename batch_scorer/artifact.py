"""The model artefact: a directory that holds a model, proves that it is whole, and can run no code.

MODEL_ID              sha256 of manifest.json, in hex
manifest.json         architecture, tokenizer, calibration, provenance, sha256 of the files below, a probe
vocabulary.txt        one token a line; the line number is the id
weights.safetensors   the tensors of `Architecture.tensor_shapes`, float32
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from batch_scorer import documents, storage
from batch_scorer.errors import ArtifactError
from batch_scorer.model import Architecture, Floats, forward
from batch_scorer.profile import Profile
from batch_scorer.schema import FORMAT_VERSION
from batch_scorer.tokenizer import LINE_BREAK, PATTERN, RESERVED, Tokenizer, words

SHIPPED = str(Path(__file__).parent / "models" / "imdb")
PROBE_TOLERANCE = 1e-3  # a float32 logit against the float64 one; a wrong tensor or gate order is off by far more

_VOCABULARY, _WEIGHTS = "vocabulary.txt", "weights.safetensors"


@dataclass(frozen=True)
class Artifact:
    """A model, loaded and verified.

    Args:
        model_id: first 12 hex digits of the sha256 of the manifest.
        manifest: `manifest.json` as it stands (schema: `schemas/artifact.json`).
        vocabulary: token of each id.
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
    """Writes the artefact into the local `directory` and returns its model id.

    Args:
        training: where the model came from: data fingerprint, recipe, split.
        probe_text: a short review; its logit is stored, and every load recomputes it.
    """
    from safetensors.numpy import save as to_safetensors

    files = {
        _VOCABULARY: "\n".join(vocabulary).encode(),
        _WEIGHTS: to_safetensors({k: np.ascontiguousarray(v, np.float32) for k, v in tensors.items()}),
    }
    probe_ids = Tokenizer(vocabulary, max_words, architecture.max_length).ids(words(probe_text))
    manifest = {
        "format_version": FORMAT_VERSION,
        "name": name,
        "architecture": architecture.to_json(),
        "tokenizer": {
            "pattern": PATTERN,
            "read_as_space": LINE_BREAK,
            "lowercase": "word by word",
            "reserved": list(RESERVED),
            "max_words": max_words,
        },
        "temperature": temperature,
        "threshold": threshold,
        "training_profile": training_profile.to_json(),
        "metrics": dict(metrics),
        "training": dict(training),
        "versions": dict(versions),
        "files": {file: hashlib.sha256(data).hexdigest() for file, data in files.items()},
        "probe": {"text": probe_text, "logit": forward(tensors, architecture, probe_ids).logit},
    }
    text = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
    model_id = hashlib.sha256(text).hexdigest()
    for file, data in {**files, "manifest.json": text, "MODEL_ID": f"{model_id}\n".encode()}.items():
        storage.publish_bytes(data, os.path.join(directory, file))
    return model_id[:12]


def load(directory: str) -> Artifact:
    """Reads and verifies the artefact in `directory`, local or remote.

    Integrity, not authenticity: a mistake or damage is found, a deliberate forgery is not.

    Raises:
        ArtifactError: a file is missing or damaged, a shape or the version differs, or the probe fails.
    """
    model_id = _read(directory, "MODEL_ID").decode("ascii", "replace").strip()
    manifest = _parse(directory, _read(directory, "manifest.json", model_id))
    data = {file: _read(directory, file, manifest["files"][file]) for file in (_VOCABULARY, _WEIGHTS)}
    architecture = Architecture(**manifest["architecture"])
    vocabulary = tuple(data[_VOCABULARY].decode("utf-8", "replace").split("\n"))
    expected = f"{architecture.vocabulary_size} tokens in UTF-8, the first {RESERVED}"
    found = f"{len(vocabulary)} tokens in UTF-8, the first {vocabulary[: len(RESERVED)]}"
    if found != expected or "\n".join(vocabulary).encode() != data[_VOCABULARY]:
        raise _damaged(directory, _VOCABULARY, expected, found)
    artifact = Artifact(model_id[:12], manifest, vocabulary, _tensors(directory, data[_WEIGHTS], architecture))
    probe_ids = artifact.tokenizer.ids(words(manifest["probe"]["text"]))
    check_probe(artifact, forward(artifact.tensors, architecture, probe_ids).logit, storage.join(directory, _WEIGHTS))
    return artifact


def _parse(directory: str, text: bytes) -> dict[str, Any]:
    try:
        # NaN and infinities are no JSON: as strings they fail the schema, which names their place.
        manifest = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise _damaged(directory, "manifest.json", "JSON", error) from error
    version = manifest.get("format_version") if isinstance(manifest, dict) else FORMAT_VERSION
    if version != FORMAT_VERSION:
        raise ArtifactError(
            "the model artefact has a format that this version does not read",
            where=storage.join(directory, "manifest.json"),
            expected=f"format_version {FORMAT_VERSION}",
            got=f"format_version {version!r:.80}",
            fix="install the batch-scorer that wrote it, or train the model again",
        )
    if wrong := documents.first_fault(documents.ARTIFACT, manifest):
        raise _damaged(directory, f"manifest.json, {wrong.where}", wrong.expected, wrong.got)
    longest, got = Architecture(**manifest["architecture"]).max_words, manifest["tokenizer"]["max_words"]
    if got > longest:
        raise _damaged(directory, "manifest.json, tokenizer, max_words", f"{longest} at most", str(got))
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


def _tensors(directory: str, data: bytes, architecture: Architecture) -> dict[str, Floats]:
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_safetensors

    try:
        tensors = from_safetensors(data)
    except (SafetensorError, KeyError) as error:
        raise _damaged(directory, _WEIGHTS, "a safetensors file of float32", error) from error
    expected = {name: ("float32", shape) for name, shape in architecture.tensor_shapes().items()}
    found = {name: (str(value.dtype), value.shape) for name, value in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise _damaged(directory, f"{_WEIGHTS}, tensor {name}", expected.get(name), found.get(name))
    return tensors


def _read(directory: str, file: str, sha256: str | None = None) -> bytes:
    path = storage.join(directory, file)
    try:
        data = storage.read_bytes(path)
    except OSError as error:
        raise ArtifactError(
            "the model artefact cannot be read",
            where=path,
            expected="MODEL_ID, manifest.json, vocabulary.txt and weights.safetensors",
            got=str(error),
            fix="give the directory that `python -m train --output DIR` wrote, or leave --model out",
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if sha256 not in (None, found):
        raise _damaged(directory, file, f"sha256 {sha256}", f"sha256 {found}")
    return data


def _damaged(directory: str, file: str, expected: object, got: object) -> ArtifactError:
    return ArtifactError(
        "the model artefact is damaged",
        where=storage.join(directory, file),
        expected=str(expected or "nothing by that name"),
        got=str(got or "nothing"),
        fix="copy the artefact again, or train the model again",
    )
