"""An import from beginning to end: read, interpret, choose a reading, write the artefact."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from batch_scorer.models import artifact
from batch_scorer.models.profile import EMPTY, Profile, measure
from batch_scorer.models.scripts import COUNT, script_counts
from batch_scorer.models.splitting import SKIPPED
from batch_scorer.models.tokenizer import OOV, START
from train.data import Say
from train.importing.archive import TEXT_BYTES, check_regular, parse_lines
from train.importing.expected import Expected, fit, probability_of, read_expected, refused
from train.importing.interpret import Interpreter
from train.importing.model_file import ModelFile, read_model
from train.importing.network import Lengths, Network, build, settled
from train.importing.readings import Choices, Reading, explore
from train.importing.refusal import damaged, refuse
from train.importing.vectorization import Numbering, of_index, of_lines, of_tokenizer

PROBE = "An honest film: slow to start, but the last hour is wonderful and I would happily watch it again."


@dataclass(frozen=True)
class Request:
    """What is to be imported, and what is known of it: the options of the command."""

    model: Path
    config: Path | None = None
    word_index: Path | None = None
    index_from: int | None = None
    expected: str | None = None
    lengths: Lengths = field(default_factory=Lengths)
    name: str = "imported"


@dataclass(frozen=True)
class Imported:
    """What became of it.

    Args:
        reading: the choices that were open, in words.
        error: how far its probabilities are from the expected ones, if there are any.
    """

    model_id: str
    network: Network
    reading: str
    error: float | None


def import_model(request: Request, output: Path, say: Say) -> Imported:
    """Imports a model.

    Raises:
        InputError: a file is missing or damaged, a layer does not fit, or the model can be read in several ways.
        ArtifactError: the model is too large.
    """
    file = read_model(request.model, request.config)
    numbering = _numbering(request.word_index, request.index_from)
    say(f"{request.model}: {len(file.graph.layers)} layers, of Keras {file.version or 'of an unknown version'}")
    expected = read_expected(request.expected) if request.expected else None

    def read(choices: Choices) -> Network:
        return _read(file, numbering, request.lengths, choices)

    reading, error = _chosen(list(explore(read)), expected)
    network = reading.model
    for choice in reading.choices:
        say(f"{choice.about}: {choice.taken}")
    model_id = _save(request, output, file, network, reading, expected)
    return Imported(model_id, network, str(reading), error)


def _chosen(readings: Sequence[Reading[Network]], expected: Expected | None) -> tuple[Reading[Network], float | None]:
    if expected is not None:
        found = fit(readings, expected)
        return found.reading, found.error
    usual = [reading for reading in readings if not reading.is_further]
    if len(usual) > 1:
        raise refused(usual)
    return usual[0], None


def _numbering(path: Path | None, index_from: int | None) -> Callable[[Choices], Numbering] | None:
    """How a file of words numbers them, which may take a choice."""
    if path is None:
        return None
    check_regular(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(TEXT_BYTES + 1)
    except (OSError, ValueError) as error:
        raise refuse("the file cannot be read", str(path), "a word index", error, "check --word-index") from error
    if len(data) > TEXT_BYTES:
        raise damaged(str(path), f"at most {TEXT_BYTES:,} bytes", "more")
    where = str(path)
    # A vocabulary begins with an empty line, for padding, and then has `[UNK]`.
    if data[:1] not in (b"{", b'"', b"[") or data.startswith(b"[UNK]"):
        lines = of_lines(parse_lines(data, where))
        return lambda choices: lines
    try:
        value = json.loads(data.decode("utf-8-sig"))
        value = json.loads(value) if isinstance(value, str) else value  # json.dump of what to_json() returns
    except (ValueError, RecursionError) as error:
        raise damaged(where, "JSON, or a token a line", error) from error
    if isinstance(value, list) and all(isinstance(x, str) for x in value):
        listed = of_lines(value)
        return lambda choices: listed
    if not isinstance(value, dict):
        raise damaged(where, "a word index, or what tokenizer.to_json() returns", f"{value!r:.60}")
    if isinstance(value.get("config"), dict) and "word_index" in value["config"]:
        tokenizer = of_tokenizer(value["config"], where)
        return lambda choices: tokenizer
    return lambda choices: of_index(value, where, index_from, choices.choose)


def _read(
    file: ModelFile, numbered: Callable[[Choices], Numbering] | None, lengths: Lengths, choices: Choices
) -> Network:
    """The network by one way of reading it."""
    found = Interpreter(file.graph, file.weights, file.generation, file.vocabulary, choices).probability()
    inner = found.attention.energy.inner
    ids = inner.source.embedded.ids
    if ids.vectorization is not None and numbered is None:
        numbering = ids.vectorization.numbering
    elif numbered is not None:
        numbering = numbered(choices)
    else:
        raise refuse("the model's words are not known", "--word-index", "tokenizer.word_index or to_json() as JSON, or "
                     "vocabulary.txt", "none, and no TextVectorization layer in the model",
                     "give --word-index FILE")  # fmt: skip
    built = [x for x in list(file.graph.built_with)[1:] if isinstance(x, int)] if ids.vectorization is None else []
    length = ids.length or (built[0] if len(built) == 1 else None)
    if length is None and inner.bias.ndim > 1:
        length = len(inner.bias)
    is_post = numbering.splitting.reads_first
    at_most, padding, truncating = settled(numbering, lengths, length, is_post)
    if ids.vectorization is None:
        other = {"pre": "post", "post": "pre"}
        if lengths.padding is None and (not inner.source.masked or inner.bias.ndim > 1):
            options = [(f"on the {'left' if side == 'pre' else 'right'}", side) for side in (padding, other[padding])]
            padding = choices.choose("padding", options[0], further=options[1:])
        if lengths.truncating is None:
            options = [(f"the {'last' if side == 'pre' else 'first'} {at_most:,} ids are read of a longer review", side)
                       for side in (truncating, other[truncating])]  # fmt: skip
            truncating = choices.choose("long reviews", options[0], further=options[1:])
    return build(found, numbering, at_most, padding, truncating)


def _save(
    request: Request,
    output: Path,
    file: ModelFile,
    network: Network,
    reading: Reading[Network],
    expected: Expected | None,
) -> str:
    imported: dict[str, Any] = {
        "file": request.model.name[:200],
        "keras": file.version,
        "reading": [f"{choice.about}: {choice.taken}"[:200] for choice in reading.choices],
        "compared": len(expected.texts) if expected else 0,
    }
    versions = {"keras": file.version[:200]} if file.version else {}
    return artifact.save(
        str(output),
        name=request.name,
        architecture=network.architecture,
        vocabulary=network.tokenizer.vocabulary,
        tensors=network.tensors,
        max_words=network.tokenizer.max_words,
        temperature=1.0,
        threshold=0.5,
        training_profile=_profile(network, expected),
        metrics={},
        training={
            "reviews": 0,
            "epoch": 0,
            "recipe": {"epochs": 0},
            "data_sha256": file.sha256,
            "imported": imported,
        },
        versions={**versions, "numpy": np.__version__},
        probe_text=PROBE,
        pattern=network.tokenizer.pattern,
    )


def _profile(network: Network, expected: Expected | None) -> Profile:
    """Of the texts that are at hand; a run is compared with nothing where there are none."""
    if expected is None:
        return EMPTY
    rows, scripts = [], []
    for text in expected.texts:
        words = network.tokenizer.words(text)
        ids = network.tokenizer.ids(words)
        used = len(ids) - int((ids[:1] == START).sum())
        unknown = int(((ids == OOV) | (ids == SKIPPED)).sum())
        rows.append((len(words), used, unknown))
        counts = script_counts(text, words)
        scripts.append(np.zeros(COUNT, np.int64) if counts is None else counts)
    n_words, n_used, oov = np.array(rows, np.int64).T
    kept = n_words > 0
    p = np.array([probability_of(network, text) for text in expected.texts])
    return measure(n_words[kept], n_used[kept], oov[kept], p[kept], scripts=np.array(scripts)[kept])
