"""The manifest of a model artefact: which format it has, and whether it holds what that format asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from batch_scorer import storage
from batch_scorer.errors import ArtifactError
from batch_scorer.models import artifact_files as files
from batch_scorer.models import splitting
from batch_scorer.models.calibration import Calibration, ConfidenceCurve
from batch_scorer.models.json_schema import first_fault
from batch_scorer.models.manifest_schema import ARTIFACTS
from batch_scorer.models.network import Architecture
from batch_scorer.models.tokenizer import PATTERNS
from batch_scorer.models.tokenizer_schema import FIRST, SUBWORDS, TOKENIZER, WINDOWS, rule_of
from batch_scorer.models.units import PIECES
from batch_scorer.schema import FORMAT_VERSIONS


def parse(directory: str, text: bytearray) -> dict[str, Any]:
    """The contents of `manifest.json` in `directory`, whose bytes are `text`.

    Raises:
        ArtifactError: its format is one that this version does not know, or it is not what the schema says.
    """
    path = storage.join(directory, files.MANIFEST)
    try:
        # NaN and infinities are not JSON: as strings they fail the schema, and the message says where.
        manifest = json.loads(text.decode("utf-8"), parse_constant=str)
        version: Any = manifest.get("format_version") if isinstance(manifest, dict) else 1
        is_known = type(version) is int and version in FORMAT_VERSIONS
        wrong = first_fault(ARTIFACTS[version], manifest) if is_known else None
    except (ValueError, RecursionError) as error:
        raise files.damaged(path, "JSON", f"{error!s:.200}") from error
    if not is_known:
        newer = isinstance(version, int) and version > max(FORMAT_VERSIONS)
        raise ArtifactError(
            f"this version cannot read the model artefact: its format is {'newer' if newer else 'different'}",
            where=path,
            expected=f"format_version {' or '.join(map(str, FORMAT_VERSIONS))}",
            got=f"format_version {version!r:.80}",
            fix=f"install {'a newer batch-scorer' if newer else 'the batch-scorer that wrote it'}, "
            "or train the model again",
        )
    if wrong:
        raise files.damaged(f"{path}, {wrong.where}", wrong.expected, wrong.got)
    architecture, tokenizer = Architecture(**manifest["architecture"]), manifest["tokenizer"]
    if version > 1:
        _check_rules(tokenizer, f"{path}, tokenizer")
        _check_type(manifest, path)
    most = architecture.max_length if version > 1 and "rules" in tokenizer else architecture.max_words
    if tokenizer["max_words"] > most:
        raise files.damaged(f"{path}, tokenizer, max_words", f"at most {most}", tokenizer["max_words"])
    files.check_size(architecture, path)
    _check_grids(manifest, path)
    return manifest  # type: ignore[no-any-return]


def _check_rules(tokenizer: Mapping[str, Any], path: str) -> None:
    """What a schema cannot say: which settings of a tokenizer go together."""
    windows, rules = tokenizer["max_windows"], tokenizer.get("rules")
    if rules is None and tokenizer["long_texts"] == FIRST:
        raise files.damaged(f"{path}, long_texts", "last or windows, since there are no rules", FIRST)
    if windows != 1 and (rules or tokenizer["long_texts"] != WINDOWS):
        raise files.damaged(f"{path}, max_windows", 1, windows)
    if rules is None:
        if tokenizer["pattern"] not in (*PATTERNS, PIECES):
            raise files.damaged(f"{path}, pattern", " or ".join(PATTERNS), f"{tokenizer['pattern']!r:.80}")
        usual = {name: TOKENIZER[name] for name in ("read_as_space", "lowercase")}
        if any(tokenizer[name] != value for name, value in usual.items()):
            raise files.damaged(path, f"{usual}, since there are no rules", f"{tokenizer['lowercase']!r:.80}")
        return
    if expected := splitting.fault(rules):
        raise files.damaged(f"{path}, rules", expected, f"{rules!r:.80}")
    found, splits = tokenizer["pattern"], rule_of(tokenizer)
    if found != splits.pattern:  # type: ignore[union-attr]
        raise files.damaged(f"{path}, pattern", "the one that follows from the rules", f"{found!r:.80}")


def _check_type(manifest: Mapping[str, Any], path: str) -> None:
    """That pattern and files are those of what an id stands for."""
    settings = manifest["tokenizer"]
    pieces = settings["type"] == SUBWORDS
    if (settings["pattern"] == PIECES) != pieces:
        expected = f"that of {settings['type']}"
        raise files.damaged(f"{path}, tokenizer, pattern", expected, f"{settings['pattern']!r:.80}")
    if (files.SCORES in manifest["files"]) != pieces:
        expected = f"{files.SCORES} where ids are pieces, and only there"
        raise files.damaged(f"{path}, files", expected, f"type {settings['type']}, {', '.join(manifest['files'])}")


def _check_grids(manifest: Mapping[str, Any], path: str) -> None:
    """What a schema cannot say: that edges ascend, and that what stands beside them has as many values."""
    calibration, curve = manifest.get("calibration"), manifest["metrics"].get("confidence_curve")
    try:
        if calibration is not None and manifest["format_version"] > 1:
            Calibration.from_json(calibration)
        if curve is not None:
            ConfidenceCurve.from_json(curve)
    except ValueError as error:
        name, _, expected = str(error).partition(": expected ")
        expected, _, got = expected.partition(", got ")
        raise files.damaged(f"{path}, {name}", expected, got or "others") from error


def check_loads(part: Callable[[], object]) -> None:
    """Checks that `part` of loading accepts what is about to be written.

    Raises:
        ArtifactError: it refuses it.
    """
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
