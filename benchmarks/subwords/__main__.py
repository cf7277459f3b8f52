"""`python -m benchmarks.subwords`: a job that reads pieces of words, beside one that reads words.

Both models are made from the reviews themselves and have the sizes of the shipped one. Nobody trains them, since
weights do not change how long a job takes. A text has more pieces than words, so the unit is the id, for which the
network takes as long on either side: what the ratio lacks to 1 is the price of dividing words and adding up pieces.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from batch_scorer.models import artifact
from batch_scorer.models.network import Architecture
from batch_scorer.models.profile import measure as profile_of
from batch_scorer.models.subwords import SubwordTokenizer
from benchmarks.job.reviews import Source, cut
from benchmarks.job.sides import ENVIRONMENT, ROOT
from train.reading import Reading, tokenizer_from

SIDES = WORDS, SUBWORDS = ("words", "subwords")
WINDOWS = 64
ROWS_OF_VOCABULARY = 20_000  # reviews that pieces and words are taken from
SPREAD = 0.05  # of the weights


@dataclass(frozen=True)
class Measured:
    """A job in one round.

    Args:
        ids: words or pieces that it read.
        seconds: of the command, from its start to its end.
        stage_seconds: of reading, encoding, scoring, explaining and writing, over all processes.
    """

    ids: int
    seconds: float
    stage_seconds: dict[str, float]

    @property
    def ids_per_s(self) -> float:
        """Ids a second and process, once started."""
        return self.ids / sum(self.stage_seconds.values())


def save_model(directory: Path, texts: Sequence[str], subwords: bool) -> None:
    """Writes a model for `texts`, of the shipped model's sizes and with weights that nobody trained."""
    architecture = Architecture()
    reading = Reading(architecture.max_words, architecture.max_length, max_windows=WINDOWS, subwords=subwords)
    tokenizer, _ = tokenizer_from(texts, architecture.vocabulary_size, reading)
    architecture = Architecture(len(tokenizer.vocabulary))
    rng, one = np.random.default_rng(20), np.ones(1, np.int32)
    tensors = {
        name: rng.normal(0, SPREAD, shape).astype(np.float32) for name, shape in architecture.tensor_shapes().items()
    }
    tensors["batch_norm.variance"] = np.ones_like(tensors["batch_norm.variance"])
    artifact.save(
        str(directory),
        name=SUBWORDS if subwords else WORDS,
        architecture=architecture,
        vocabulary=tokenizer.vocabulary,
        tensors=tensors,
        max_words=tokenizer.max_words,
        temperature=1.0,
        threshold=0.5,
        training_profile=profile_of(one, one, 0 * one, np.array([0.5])),
        metrics={},
        training={"reviews": len(texts), "epoch": 0, "recipe": {"epochs": 0}, "data_sha256": "0" * 64},
        versions={"numpy": np.__version__},
        probe_text="A good film.",
        pattern=tokenizer.pattern,
        max_windows=tokenizer.max_windows,
        scores=tokenizer.scores if isinstance(tokenizer, SubwordTokenizer) else None,
    )


def run(reviews: Path, model: Path, output: Path, workers: int) -> Measured:
    """Scores the reviews with a model, as a user would."""
    options = ["--output", str(output), "--model", str(model), "--workers", str(workers), "--quiet"]
    words = [sys.executable, "-m", "batch_scorer", "score", str(reviews), *options]
    start = time.monotonic()
    subprocess.run(words, check=True, cwd=ROOT, env={**os.environ, **ENVIRONMENT}, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - start
    manifest = json.loads((output / "manifest.json").read_text(encoding="utf-8"))
    return Measured(manifest["profile"]["run"]["used_words"], seconds, manifest["timings"])


def measure(source: Source, reviews: int, rounds: int, workers: int) -> dict[str, list[Measured]]:
    """Measures both sides in turns; the first of a round alternates."""
    results: dict[str, list[Measured]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory(prefix="batch-scorer-") as place:
        folder = Path(place)
        cut(source, reviews, folder / "in.parquet")
        texts = _texts(folder / "in.parquet")
        for side in SIDES:
            save_model(folder / side, texts, side == SUBWORDS)
        for number in range(rounds):
            for side in SIDES if number % 2 == 0 else reversed(SIDES):
                found = run(folder / "in.parquet", folder / side, folder / f"{side}-{number}", workers)
                results[side].append(found)
                click.echo(f"round {number + 1}, {side}: {found.ids:,} ids in {found.seconds:.1f} s")
    return results


def _texts(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    return pq.read_table(path, columns=["text"])["text"].to_pylist()[:ROWS_OF_VOCABULARY]  # type: ignore[no-any-return]


def summary(results: dict[str, list[Measured]]) -> list[str]:
    """What was measured, in sentences: medians, with the lowest and the highest of the rounds."""
    lines = []
    for side in SIDES:
        rates = [found.ids_per_s for found in results[side]]
        stages = {
            name: statistics.median(found.stage_seconds[name] / found.ids * 1e6 for found in results[side])
            for name in results[side][0].stage_seconds
        }
        shares = ", ".join(f"{name} {microseconds:.2f}" for name, microseconds in stages.items())
        lines.append(
            f"{side}: {statistics.median(rates):,.0f} ids/s and process once started ({min(rates):,.0f} to "
            f"{max(rates):,.0f}); microseconds an id: {shares}"
        )
    ratios = [b.ids_per_s / a.ids_per_s for a, b in zip(results[WORDS], results[SUBWORDS], strict=True)]
    lines.append(f"subwords / words: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    more = results[SUBWORDS][0].ids / results[WORDS][0].ids
    return [*lines, f"the texts have {more:.2f} times as many pieces as words"]


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--data", required=True, metavar="FILE", help="Reviews, as Parquet; repeated if there are too few.")
@click.option("--text-column", default="text", metavar="NAME", help="Column that holds the review.")
@click.option("--reviews", type=click.IntRange(2), default=20_000, help="How many reviews are scored.")
@click.option("--rounds", type=click.IntRange(1), default=3, help="How often each side is measured.")
@click.option("--workers", type=click.IntRange(1), default=2, help="Processes of the job.")
def main(data: str, text_column: str, reviews: int, rounds: int, workers: int) -> None:
    """Measure a job that reads pieces of words beside one that reads words, on the same reviews.

    \b
    Example:
      python -m benchmarks.subwords --data imdb_train.parquet
    """
    for line in summary(measure(Source(data, text_column), reviews, rounds, workers)):
        click.echo(line)


if __name__ == "__main__":
    main()
