"""Fixtures: a tiny model that scores for real, a few reviews, and the IMDB reviews where they are at hand."""

from __future__ import annotations

import dataclasses
import gc
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from batch_scorer.config import ScoreConfig
from batch_scorer.models import artifact
from batch_scorer.models.calibration import Calibration, ConfidenceCurve
from batch_scorer.models.network import Architecture
from batch_scorer.models.profile import measure
from batch_scorer.models.tokenizer import APOSTROPHES, RESERVED
from batch_scorer.models.units import PIECES
from batch_scorer.runners import heartbeat
from tests.engines import plain_engines
from tests.finished_runs import Original
from tests.hints import collected
from tests.processes import GUARD_S
from tests.straight import beam_jobs, straight_jobs
from tests.stubs.environment import Environment, install

# Machines differ: a slow example is not a failure. Each change tries the same few examples; whoever changes what a test
# is about may try many others, by `--hypothesis-profile thorough`.
settings.register_profile("default", deadline=None, derandomize=True, max_examples=50)
settings.register_profile("thorough", deadline=None, max_examples=1_000)
settings.load_profile("default")

# The files that take longest, longest first. Each goes to one process (`scripts/test`): one that came last would run
# alone while the other process has nothing left to do.
SLOW_FILES = (
    "tests/test_chaos.py",
    "tests/test_real.py",
    "tests/runners/test_portable.py",
    "tests/train/test_full.py",
    "tests/runners/test_interrupt.py",
    "tests/docs/test_python.py",
    "tests/api/test_job.py",
    "tests/api/test_model.py",
    "tests/report/test_browser.py",
    "tests/models/test_engine.py",
    "tests/docs/test_analysts.py",
    "tests/storage/test_stores.py",
    "tests/runners/test_dataflow.py",
    "tests/test_privacy.py",
    "tests/train/test_notebook.py",
    "tests/test_fuzz.py",
    "tests/train/test_resume.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts `SLOW_FILES` first."""
    ranks = {name: rank for rank, name in enumerate(SLOW_FILES)}
    items.sort(key=lambda item: ranks.get(item.nodeid.partition("::")[0], len(ranks)))


def pytest_collection_finish() -> None:
    """Spares the garbage collector what stays to the end, all modules: it would walk through them again and again."""
    gc.collect()
    gc.freeze()


# The engine has one thread, which TensorFlow grants only before its first use. Without this, the last bits of a score
# would depend on whether a test of training came first in this process.
os.environ["TF_NUM_INTRAOP_THREADS"] = "1"

WORDS = (
    *("a", "good", "bad", "film", "plot", "was", "not", "the", "and"),
    *("it's", "very", "boring", "wonderful", "café", "naïve", "10", "minutes", "слово"),
)
TINY = Architecture(
    vocabulary_size=len(RESERVED) + len(WORDS), embedding_dim=6, units=5, attention_units=4, max_length=20
)

REVIEWS = (
    ("r1", "A wonderful film, and it's not boring."),
    ("r2", "Bad plot.<br /><br />Very, very bad!"),
    ("r3", "the café was naïve; 10 minutes of слово"),
    ("r4", "good " * 40 + "and bad"),
    ("r5", "unheard of words only"),
    ("r6", "good"),
)


def random_tensors(architecture: Architecture, seed: int) -> dict[str, np.ndarray]:
    """Weights with the spread of a trained model's, so that scores differ from review to review."""
    rng = np.random.default_rng(seed)
    tensors = {name: rng.normal(0, 0.7, shape).astype("f4") for name, shape in architecture.tensor_shapes().items()}
    if architecture.batch_norm:
        tensors["batch_norm.variance"] = np.abs(tensors["batch_norm.variance"]) + np.float32(0.5)
    return tensors


def save_tiny(directory: Path, seed: int = 7, architecture: Architecture = TINY, **changes: Any) -> Path:
    """Writes a tiny artefact of random weights; `changes` are arguments of `artifact.save`."""
    nothing = np.ones(1, np.int32)
    settings: dict[str, Any] = {
        "name": "tiny",
        "architecture": architecture,
        "vocabulary": [*RESERVED, *WORDS],
        "tensors": random_tensors(architecture, seed),
        "max_words": architecture.max_words,
        "temperature": 1.3,
        "threshold": 0.5,
        "training_profile": measure(nothing, nothing, 0 * nothing, np.array([0.5])),
        "metrics": {},
        "training": {"reviews": 1, "epoch": 1, "recipe": {"epochs": 1}, "data_sha256": "0" * 64},
        "versions": {"numpy": np.__version__},
        "probe_text": "a good film",
    }
    artifact.save(str(directory), **(settings | changes))
    return directory


# All that format 2 is for: up to 4 windows of 7 words, words that share an id, both apostrophes, a temperature by row.
FORMAT_2: dict[str, Any] = {
    "max_words": 7,
    "max_windows": 4,
    "pattern": APOSTROPHES,
    "aliases": {word: len(RESERVED) + WORDS.index("film") for word in ("film", "movie", "plot")},
    "calibration": Calibration((1, 4, 9), (0.0, 0.3), ((2.5, 3.0), (1.4, 1.9), (1.1, 1.2))),
    "temperature": 1.4,
    "confidence_curve": ConfidenceCurve((0.5, 0.75), (4, 6), (2, 6)),
}


# Pieces of words of several scripts, more or less probable, and most of the letters of none.
SCORED_PIECES = {
    **{
        "\u2581": -3.1,
        "\u2581a": -3.9,
        "\u2581good": -4.2,
        "\u2581bad": -4.7,
        "\u2581film": -4.4,
        "\u2581not": -4.6,
        "good": -6.3,
    },
    **{
        "ness": -5.2,
        "s": -3.6,
        "\u2581wonder": -5.9,
        "ful": -5.3,
        "\u2581it's": -5.1,
        "e": -4.1,
        "n": -4.3,
        "d": -4.9,
        "o": -4.8,
    },
    **{
        "\u2581영화": -4.05,
        "가": -3.95,
        "\u2581재미": -5.15,
        "있": -4.45,
        "다": -3.85,
        "\u2581최고": -6.1,
        "\u2581caf\u00e9": -6.2,
    },
    **{
        "最高": -5.05,
        "最": -6.35,
        "高": -6.4,
        "です": -4.15,
        "映画": -5.35,
        "は": -4.25,
        "スト": -6.55,
        "ーリー": -6.6,
        "が": -4.35,
    },
    **{
        "ภาพ": -5.45,
        "ยนตร์": -5.65,
        "ดี": -5.25,
        "มาก": -5.55,
        "ม": -7.1,
        "\u2581फ़िल्म": -5.75,
        "\u2581अच्छी": -5.85,
        "\u25811": -5.95,
        "0": -5.8,
    },
}
# What a model of pieces has, with all the rest of format 2: up to 4 windows of 9 pieces.
SUBWORDS: dict[str, Any] = {
    "architecture": dataclasses.replace(TINY, vocabulary_size=len(RESERVED) + len(SCORED_PIECES)),
    "vocabulary": [*RESERVED, *SCORED_PIECES],
    "scores": [0.0, 0.0, 0.0, *SCORED_PIECES.values()],
    "pattern": PIECES,
    "max_words": 9,
    "max_windows": 4,
    "aliases": {"movie": len(RESERVED) + 4, "plot": len(RESERVED) + 4, "高": len(RESERVED) + 26},
    "calibration": FORMAT_2["calibration"],
    "temperature": 1.4,
    "probe_text": "a good film, 영화가 最高です",
}


@pytest.fixture(scope="session", autouse=True)
def engines() -> Iterator[None]:
    """Small models score without TensorFlow, and here without Beam; loading may take as long as it likes."""
    with plain_engines(), straight_jobs(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(heartbeat, "LOADING_SECONDS", GUARD_S)
        patch.setattr(heartbeat, "SILENT_SECONDS", GUARD_S)
        yield


@pytest.fixture
def through_beam() -> Iterator[None]:
    """All jobs of a test go through Beam: it is about how they run, or what they log, and not only what they write."""
    with beam_jobs():
        yield


@pytest.fixture(scope="module")
def plain_shipped() -> Iterator[None]:
    """The shipped model scores without TensorFlow too; the last bits of its numbers, which are others, nobody prints.

    For examples that start many processes. With TensorFlow, `test_real` and `api/test_model` have it score.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAOS_PLAIN", "any")
        yield


@pytest.fixture(scope="session", autouse=True)
def hints() -> Iterator[None]:
    """Whatever errors advise in this session is a command or an option that there is."""
    with collected():
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a tiny artefact."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny(tiny_model: Path) -> artifact.Artifact:
    """The tiny artefact, loaded."""
    return artifact.load(str(tiny_model))


@pytest.fixture(scope="session")
def tiny_model_2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a tiny artefact of format 2, with all that is new in it."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny2", **FORMAT_2)


@pytest.fixture(scope="session")
def tiny_2(tiny_model_2: Path) -> artifact.Artifact:
    """The tiny artefact of format 2, loaded."""
    return artifact.load(str(tiny_model_2))


@pytest.fixture(scope="session")
def tiny_subwords_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a tiny artefact whose ids are pieces of words."""
    return save_tiny(tmp_path_factory.mktemp("models") / "subwords", **SUBWORDS)


@pytest.fixture(scope="session")
def tiny_subwords(tiny_subwords_model: Path) -> artifact.Artifact:
    """The tiny artefact whose ids are pieces of words, loaded."""
    return artifact.load(str(tiny_subwords_model))


@pytest.fixture
def jsonl_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes records, or raw bytes as they are, as lines of a JSONL file."""

    def write(*records: Any, name: str = "reviews.jsonl") -> Path:
        lines = [r if isinstance(r, bytes) else json.dumps(r, ensure_ascii=False).encode() for r in records]
        path = tmp_path / name
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return path

    return write


@pytest.fixture
def reviews_file(jsonl_file: Callable[..., Path]) -> Path:
    """`REVIEWS` as JSONL, fields id and text."""
    return jsonl_file(*({"id": i, "text": text} for i, text in REVIEWS))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty directory for inputs."""
    made = tmp_path / "in"
    made.mkdir()
    return made


def write(folder: Path, *names: str) -> list[str]:
    """Files with these names, of a line each; returns their paths."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('{"text": "a"}\n')
    return [str(folder / name) for name in names]


@pytest.fixture
def config(tmp_path: Path, tiny_model: Path) -> Callable[..., ScoreConfig]:
    """A config with the tiny model, the output below `tmp_path`, and whatever is given."""

    def make(*inputs: Path | str, **changes: Any) -> ScoreConfig:
        defaults = {"output": str(tmp_path / "out"), "model": str(tiny_model)}
        return ScoreConfig.of(inputs=tuple(str(i) for i in inputs), **{**defaults, **changes})

    return make


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Original:
    """Six reviews by the tiny model, two words listed of each, in two parts; a record is rejected."""
    from tests.jobs import score_here  # imports Beam, which most tests can do without

    folder = tmp_path_factory.mktemp("original")
    lines = [json.dumps({"id": i, "text": text}) for i, text in REVIEWS]
    (folder / "in.jsonl").write_text("\n".join([*lines, "{broken"]) + "\n", encoding="utf-8")
    config = ScoreConfig.of(
        inputs=(str(folder / "in.jsonl"),),
        output=str(folder / "run"),
        model=str(tiny_model),
        id_column="id",
        shard_rows=3,
        top_k=2,
        max_error_rate=1,
    )
    score_here(config)
    return Original(folder / "run")


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment into which the wheel for workers is installed."""
    return install(tmp_path_factory.mktemp("clean"))


@pytest.fixture(scope="session")
def imdb() -> Path:
    """Directory of the IMDB reviews as Parquet."""
    directory = os.environ.get("BATCH_SCORER_DATA")
    if not directory:
        pytest.skip("needs real reviews: set BATCH_SCORER_DATA to a directory with imdb_test_open.parquet")
    return Path(directory)
