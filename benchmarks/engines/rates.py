"""`python -m benchmarks.engines.rates`: what each engine costs, beside the two processes of a local job.

Every way scores the same reviews with two workers, in turns. In each round, a way scores a few reviews and then many:
the difference gives its rate once started, and what is left of the smaller run its start. A cluster has run a job
before, as one that is in use has.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from statistics import median

import click

from batch_scorer.errors import ScorerError
from benchmarks.engines.run import between, page
from benchmarks.engines.ways import WAYS, Way, cluster, environment
from benchmarks.job.options import from_anywhere, source_options
from benchmarks.job.processes import DRIVER, WORKER, Ran, run_watched
from benchmarks.job.reviews import Source, cut
from benchmarks.job.sides import ROOT
from benchmarks.scoring.measure import Spread

BASE, *OTHERS = list(WAYS)[1:]  # a single process is none of them
HEADINGS = ("way", "reviews/s, once started", "of two processes", "start, s", "command, MiB", "a Python worker, MiB",
            "all others, MiB")  # fmt: skip


@dataclass(frozen=True)
class Turn:
    """What a way did in a round.

    Args:
        rate: reviews per second of the additional reviews.
        start_seconds: of the smaller run, what its reviews do not account for at that rate.
        peaks: in MiB, by the name of a process and its number among those of the name.
    """

    way: str
    round: int
    rate: float
    start_seconds: float
    seconds: float
    peaks: dict[str, list[float]]


def turn(way: Way, number: int, few: tuple[int, Path], many: tuple[int, Path], model: str, folder: Path) -> Turn:
    """Runs a way once.

    Args:
        few, many: how many reviews, and where they are.

    Raises:
        JobError: a run failed, or a cluster does not start.
    """
    logs = folder / "cluster"
    with cluster(way.cluster, logs) as submitting:
        besides = [int(path.read_text()) for path in logs.glob("*.pid")]  # of the cluster, if there is one

        def ran(reviews: Path) -> Ran:
            output = folder / "out"
            words = [str(reviews), "--output", str(output), "--model", model, "--id-column", "id", "--quiet"]
            try:
                return run_watched(way.command(words, submitting, ()), ROOT, environment(), besides)
            finally:
                shutil.rmtree(output, ignore_errors=True)

        if way.cluster:
            ran(few[1])
        short, long = ran(few[1]), ran(many[1])
    rate = (many[0] - few[0]) / max(long.seconds - short.seconds, 1e-3)
    names = sorted({peak.name for peak in long.peaks})
    peaks = {name: sorted(long.named(name), reverse=True) for name in names}
    return Turn(way.name, number, rate, short.seconds - few[0] / rate, long.seconds, peaks)


def measure(
    source: Source, model: str, reviews: int, rounds: int, ways: Sequence[str], report: Callable[[list[Turn]], None]
) -> list[Turn]:
    """Runs all ways in turns; every other round, they go in the opposite order.

    Args:
        report: called after each turn, with all of them so far.

    Raises:
        InputError: the reviews cannot be read.
        JobError: a run failed, or a cluster does not start.
    """
    turns = []
    with tempfile.TemporaryDirectory(prefix="batch-scorer-") as name:
        folder = Path(name)
        few, many = ((count, folder / f"{count}.parquet") for count in (reviews // 10, reviews))
        for count, path in (few, many):
            cut(source, count, path)
        for number in range(rounds):
            for way in ways if number % 2 == 0 else reversed(ways):
                turns.append(turn(WAYS[way], number, few, many, model, folder))
                report(turns)
    return turns


def table(turns: Sequence[Turn], reviews: int) -> str:
    """A sentence and a table, as Markdown."""
    rounds = 1 + max(one.round for one in turns)
    local = {one.round: one.rate for one in turns if one.way == BASE}
    lines = [HEADINGS, ("---", *(["--:"] * (len(HEADINGS) - 1)))]
    order = list(WAYS)
    for way, found in groupby(sorted(turns, key=lambda one: order.index(one.way)), lambda one: one.way):
        own = list(found)
        shares = Spread.of([one.rate / local[one.round] for one in own])
        lines.append((
            way,
            f"{median(one.rate for one in own):,.0f}",
            "" if way == BASE else f"{shares.median:.2f} ({shares.low:.2f} to {shares.high:.2f})",
            f"{median(one.start_seconds for one in own):.1f}",
            f"{_largest(own, DRIVER):,.0f}",
            f"{_largest(own, WORKER):,.0f}",
            _others(own),
        ))  # fmt: skip
    sentence = f"{reviews:,} reviews, two workers, {rounds} rounds; medians, and the range of the ratios.\n\n"
    return sentence + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _largest(turns: Sequence[Turn], name: str) -> float:
    return max((max(one.peaks.get(name, [0.0])) for one in turns), default=0.0)


def _others(turns: Sequence[Turn]) -> str:
    """The largest of each name among the engine's own processes of the JVM or of Go, and of the pools."""
    names = ("job server", "JobManager", "TaskManager", "master", "Spark worker", "executor", "Prism", "worker pool")
    found = {name: _largest(turns, name) for name in names}
    return "; ".join(f"{name} {mebibytes:,.0f}" for name, mebibytes in found.items() if mebibytes)


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@source_options
@click.option("--reviews", type=click.IntRange(1_000), default=100_000, help="How many reviews to score.")
@click.option("--rounds", type=click.IntRange(1), default=3, help="How often each way has its turn.")
@click.option("--way", "ways", multiple=True, type=click.Choice(OTHERS), help="Only this way; may be repeated.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write them as JSON.")
@click.option("--write", is_flag=True, help="Replace the table in docs/engines.md.")
def main(
    data: str, text_column: str, id_column: str | None, model: str, reviews: int, rounds: int, ways: tuple[str, ...],
    output: Path | None, write: bool,
) -> None:  # fmt: skip
    """Score the same reviews with two workers on each engine and locally, in turns; show rates, start, memory.

    \b
    Example:
      python -m benchmarks.engines.rates --data imdb_train.parquet --id-column review_id --output rates.json --write
    """
    source = Source(str(Path(data).resolve()), text_column, id_column)
    model = from_anywhere(model)

    def report(turns: Sequence[Turn]) -> None:
        last = turns[-1]
        click.echo(f"round {last.round + 1}, {last.way}: {last.rate:,.0f} reviews/s, {last.start_seconds:.1f} s")
        if output:  # kept one by one: a later one may fail
            told = {"reviews": reviews, "turns": [asdict(one) for one in turns]}
            output.write_text(json.dumps(told, indent=2) + "\n")

    chosen = [BASE, *(name for name in OTHERS if name in (ways or OTHERS))]
    try:
        turns = measure(source, model, reviews, rounds, chosen, report)
    except ScorerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    click.echo(table(turns, reviews))
    if write:
        text = page().read_text(encoding="utf-8")
        page().write_text(between(text, "benchmarks.engines.rates", table(turns, reviews)), encoding="utf-8")


if __name__ == "__main__":
    main()
