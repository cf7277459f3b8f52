"""`python -m benchmarks.transform`: the rate of `ScoreTexts` in a pipeline beside that of a job, once started.

Each side is a complete command in a new process, with two workers, on few reviews and on many. The rate once started is
that of the reviews that the larger corpus has more: start-up is in both, and cancels out. The sides take turns.
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
import pyarrow.parquet as pq

from benchmarks.job.sides import ENVIRONMENT, ROOT

FILES = 20
SIDES = JOB, TRANSFORM = ("job", "ScoreTexts")


@dataclass(frozen=True)
class Measured:
    """One side in one round: seconds of the command on few and on many reviews, and reviews a second once started."""

    few_s: float
    many_s: float
    reviews_per_s: float


def write_corpus(data: str, text_column: str, reviews: int, folder: Path) -> None:
    """Writes the first `reviews` texts, and these again if there are fewer, as JSON lines in `FILES` files."""
    texts = pq.read_table(data, columns=[text_column])[text_column].to_pylist()
    folder.mkdir(parents=True)
    for number in range(FILES):
        lines = [json.dumps({"id": i, "text": texts[i % len(texts)]}) for i in range(number, reviews, FILES)]
        (folder / f"part-{number:02d}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def command(side: str, corpus: Path, output: Path) -> list[str]:
    """What a user would call, with two workers."""
    if side == JOB:
        options = ["--output", str(output), "--id-column", "id", "--workers", "2", "--quiet"]
        return [sys.executable, "-m", "batch_scorer", "score", str(corpus), *options]
    workers = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    program = [sys.executable, "-m", "benchmarks.transform.pipeline"]
    return [*program, f"{corpus}/*.jsonl", str(output), "--runner=FnApiRunner", *workers]


def seconds_of(words: Sequence[str]) -> float:
    """How long a command takes, from its start to its end."""
    start = time.monotonic()
    environment = {**os.environ, **ENVIRONMENT}
    subprocess.run(words, check=True, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - start


def measure(data: str, text_column: str, few: int, many: int, rounds: int) -> dict[str, list[Measured]]:
    """Measures both sides in turns; the first of a round alternates."""
    results: dict[str, list[Measured]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for count in (few, many):
            write_corpus(data, text_column, count, folder / str(count))
        for number in range(rounds):
            for side in SIDES if number % 2 == 0 else reversed(SIDES):
                few_s, many_s = (
                    seconds_of(command(side, folder / str(count), folder / f"{side}-{count}-{number}"))
                    for count in (few, many)
                )
                results[side].append(Measured(few_s, many_s, (many - few) / (many_s - few_s)))
                click.echo(f"round {number + 1}, {side}: {few_s:.1f} s and {many_s:.1f} s")
    return results


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--data", required=True, metavar="FILE", help="Reviews, as Parquet.")
@click.option("--text-column", default="text", metavar="NAME", help="Column that holds the review.")
@click.option("--few", type=click.IntRange(1), default=2_000, help="Reviews of the smaller corpus.")
@click.option("--many", type=click.IntRange(2), default=20_000, help="Reviews of the larger one.")
@click.option("--rounds", type=click.IntRange(1), default=3, help="How often each side is measured.")
def main(data: str, text_column: str, few: int, many: int, rounds: int) -> None:
    """Measure a pipeline with ScoreTexts beside a job on the same reviews, in 20 files, with two workers each.

    \b
    Example:
      python -m benchmarks.transform --data imdb_train.parquet
    """
    results = measure(data, text_column, few, many, rounds)
    for side in SIDES:
        rates = [measured.reviews_per_s for measured in results[side]]
        whole = statistics.median(measured.many_s for measured in results[side])
        click.echo(
            f"{side}: {statistics.median(rates):,.0f} reviews/s once started ({min(rates):,.0f} to {max(rates):,.0f}); "
            f"{whole:.1f} s for all {many:,}"
        )
    pairs = zip(results[TRANSFORM], results[JOB], strict=True)
    shares = [transform.reviews_per_s / job.reviews_per_s for transform, job in pairs]
    click.echo(f"ScoreTexts / job: {statistics.median(shares):.2f} ({min(shares):.2f} to {max(shares):.2f})")


if __name__ == "__main__":
    main()
