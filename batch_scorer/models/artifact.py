"""The model artefact: a directory that holds a model, can prove that it is undamaged, and cannot run code.

MODEL_ID              sha256 of manifest.json, in hex
manifest.json         architecture, tokenizer, calibration, provenance, sha256 of the files below, a probe
vocabulary.txt        one token per line; the line number is the id
aliases.txt           token, tab, id per line, where words share an id; these go before the vocabulary
scores.txt            one log probability per line, by id, where ids are pieces of words
weights.safetensors   the tensors of `Architecture.tensor_shapes`, float32
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer import storage
from batch_scorer.errors import ArtifactError
from batch_scorer.models import aliases as alias_lines
from batch_scorer.models import artifact_files as files
from batch_scorer.models import piece_scores, tokenizer_schema
from batch_scorer.models.artifact_files import ALIASES, MANIFEST, MODEL_ID, SCORES, VOCABULARY, WEIGHTS
from batch_scorer.models.artifact_manifest import check_loads, parse
from batch_scorer.models.calibration import Calibration, ConfidenceCurve
from batch_scorer.models.network import Architecture, Doubles, Floats, forward
from batch_scorer.models.profile import Profile
from batch_scorer.models.subwords import tokenizer_of
from batch_scorer.models.tokenizer import PATTERN, Rule, Tokenizer

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
        aliases: word, as it is looked up -> its id, before the vocabulary.
        scores: the log probability of each id's piece; None where ids are words.
    """

    model_id: str
    manifest: Mapping[str, Any]
    vocabulary: tuple[str, ...]
    tensors: Mapping[str, Floats]
    aliases: Mapping[str, int] = field(default_factory=dict)
    scores: tuple[float, ...] | None = None

    @property
    def architecture(self) -> Architecture:
        return Architecture(**self.manifest["architecture"])

    @cached_property
    def tokenizer(self) -> Tokenizer:
        settings, max_ids = self.manifest["tokenizer"], self.architecture.max_length
        if self.manifest["format_version"] == 1:  # it was trained and scored without all else
            return Tokenizer(self.vocabulary, settings["max_words"], max_ids)
        rule = tokenizer_schema.rule_of(settings, settings["long_texts"] == tokenizer_schema.FIRST)
        more = {"pattern": rule, "max_windows": settings["max_windows"], "aliases": self.aliases}
        return tokenizer_of(self.vocabulary, settings["max_words"], max_ids, scores=self.scores, **more)

    @property
    def long_texts(self) -> str:
        """How a review of more than `max_words` words is read, one of `tokenizer_schema.LONG_TEXTS`."""
        return tokenizer_schema.long_texts(self.tokenizer)

    @property
    def temperature(self) -> float:
        """Of every review; with a calibration, the median on the validation split."""
        return float(self.manifest["temperature"])

    @cached_property
    def calibration(self) -> Calibration | None:
        """The temperature by review, where it depends on the review."""
        if self.manifest["format_version"] == 1 or "calibration" not in self.manifest:
            return None
        return Calibration.from_json(self.manifest["calibration"])

    def temperatures(self, n_used: npt.NDArray[np.integer], oov_rate: npt.NDArray[np.floating]) -> Doubles:
        """What the logits of N reviews are divided by: float64[N].

        Args:
            n_used: [N], words read of each.
            oov_rate: [N], the share of them that are unknown.
        """
        calibration = self.calibration
        return calibration.temperature(n_used, oov_rate) if calibration else np.full(len(n_used), self.temperature)

    @property
    def optional_columns(self) -> tuple[str, ...]:
        """Those of `schema.OPTIONAL_COLUMNS` that its predictions have."""
        return () if self.calibration is None else ("temperature",)

    @property
    def confidence_curve(self) -> ConfidenceCurve | None:
        """How often the model was right on the validation split, by its confidence, where that is known."""
        curve = self.manifest["metrics"].get("confidence_curve")
        return None if curve is None else ConfidenceCurve.from_json(curve)

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
    aliases: Mapping[str, int] | None = None,
    pattern: Rule = PATTERN,
    max_windows: int = 1,
    scores: Sequence[float] | None = None,
    calibration: Calibration | None = None,
    confidence_curve: ConfidenceCurve | None = None,
) -> str:
    """Writes an artefact to the local `directory`, of format 1 if that will do, and returns its model id.

    Args:
        temperature: of every review; with a calibration, the median (`Calibration.median`).
        training: where the model comes from: fingerprint of the data, recipe, split.
        probe_text: a short review; its logit is stored, and checked whenever the model is loaded.
        aliases: word, as `Tokenizer.words` gives it -> id.
        pattern: what a word is, as `Tokenizer` takes it; with `scores`, `units.PIECES`.
        max_windows: how many times `max_words` are read of a longer review.
        scores: the log probability of each id's piece, where ids are pieces of words.
        calibration, confidence_curve: where the temperature depends on the review.

    Raises:
        ArtifactError: `load` would refuse the model: it is too large, or something in it is not a number.
        ValueError: `load` would refuse an alias.
    """
    from safetensors.numpy import save as to_safetensors

    files.check_size(architecture, storage.join(directory, MANIFEST))
    more: dict[str, Any] = {"aliases": aliases or {}, "pattern": pattern, "max_windows": max_windows, "scores": scores}
    tokenizer = tokenizer_of(vocabulary, max_words, architecture.max_length, **more)
    contents = {
        VOCABULARY: "\n".join(vocabulary).encode(),
        WEIGHTS: to_safetensors({k: np.ascontiguousarray(v, np.float32) for k, v in tensors.items()}),
    }
    check_loads(lambda: files.tokens(bytearray(contents[VOCABULARY]), architecture, VOCABULARY))
    check_loads(lambda: files.tensors(bytearray(contents[WEIGHTS]), architecture, WEIGHTS))
    if aliases:
        contents[ALIASES] = alias_lines.to_bytes(tokenizer)
    if scores is not None:
        check_loads(lambda: piece_scores.check(vocabulary, VOCABULARY))
        contents[SCORES] = piece_scores.to_bytes(scores)
    is_new = aliases or pattern != PATTERN or max_windows > 1 or calibration or architecture.needs_format_2
    version = 2 if is_new else 1
    profile = training_profile.to_json()
    if version == 1:
        profile.pop("scripts", None)  # what older versions know, and no more
    curve = {"confidence_curve": confidence_curve.to_json()} if confidence_curve else {}
    probe_ids = tokenizer.ids(tokenizer.words(probe_text))
    manifest = {
        "format_version": version,
        "name": name,
        "architecture": architecture.to_json(),
        "tokenizer": tokenizer_schema.tokenizer_settings(tokenizer, version),
        "temperature": temperature,
        "threshold": threshold,
        "training_profile": profile,
        **({"calibration": calibration.to_json()} if calibration else {}),
        "metrics": {**metrics, **curve},
        "training": dict(training),
        "versions": dict(versions),
        "files": {file: hashlib.sha256(data).hexdigest() for file, data in contents.items()},
        "probe": {"text": probe_text, "logit": forward(tensors, architecture, probe_ids).logit},
    }
    text = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
    check_loads(lambda: parse("", bytearray(text)))
    model_id = hashlib.sha256(text).hexdigest()
    for file, data in {**contents, MANIFEST: text, MODEL_ID: f"{model_id}\n".encode()}.items():
        storage.publish_bytes(data, os.path.join(directory, file))
    return model_id[:12]


def load(directory: str) -> Artifact:
    """Reads and verifies the artefact in `directory`, local or remote. No file is parsed before its hash is verified.

    Integrity, not authenticity: damage is detected, a deliberate forgery is not.

    Raises:
        ArtifactError: a file is missing or damaged, a size, a shape or the version is wrong, or the probe fails.
    """
    model_id = files.model_id(directory)
    manifest = parse(directory, files.read(directory, MANIFEST, files.MANIFEST_BYTES, model_id))
    architecture, sha256 = Architecture(**manifest["architecture"]), manifest["files"]
    vocabulary = files.read(directory, VOCABULARY, files.vocabulary_limit(architecture), sha256[VOCABULARY])
    weights = files.read(directory, WEIGHTS, files.weights_limit(architecture), sha256[WEIGHTS])
    pieces = files.tokens(vocabulary, architecture, storage.join(directory, VOCABULARY))
    artifact = Artifact(
        model_id[:12],
        manifest,
        pieces,
        files.tensors(weights, architecture, storage.join(directory, WEIGHTS)),
        alias_lines.load(directory, manifest, architecture),
        piece_scores.load(directory, manifest, pieces),
    )
    probe_ids = artifact.tokenizer.ids(artifact.tokenizer.words(manifest["probe"]["text"]))
    with np.errstate(over="ignore", invalid="ignore"):  # relu gates have no upper bound; the probe will tell
        logit = forward(artifact.tensors, architecture, probe_ids).logit
    check_probe(artifact, logit, storage.join(directory, WEIGHTS))
    return artifact


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
