"""`python -m benchmarks.movers`: corpora in which a few products were made to move, and what `report` says of them."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from batch_scorer.report.build import build_findings
from batch_scorer.report.question import Question
from benchmarks.movers.corpus import Planted, Pool, Shape, write_corpus

FIRST = 3  # words among which a reason has to be


@dataclass(frozen=True)
class Result:
    """What was found in one corpus.

    Args:
        planted, found: products that were made to move, and those of them that were named.
        false: others that were named.
        reasons: of those found, how many have their reason among the first `FIRST` words.
        missed: what was not found, or not explained, in words.
        seconds: of the report, without writing the page.
    """

    seed: int
    planted: int
    found: int
    false: int
    reasons: int
    missed: tuple[str, ...]
    seconds: float


def judge(seed: int, planted: Sequence[Planted], output: Path) -> Result:
    """Builds the report of a corpus and compares it with what was planted."""
    start = time.monotonic()
    findings = build_findings(Question(str(output), group_by=("product",), over="date", reviews=5))
    seconds = time.monotonic() - start
    assert findings.groups is not None
    movers = {mover.group.value: mover for mover in findings.groups.movers}
    known = {one.product: one for one in planted}
    missed = [f"{one.product} {one.points:+.2f} not named" for one in planted if one.product not in movers]
    reasons = 0
    for name in movers.keys() & known.keys():
        words = [word.text for word in movers[name].words]
        if known[name].reason in words[:FIRST]:
            reasons += 1
        else:
            missed.append(f"{name}: {known[name].reason} not in {words}")
    found = movers.keys() & known.keys()
    return Result(
        seed, len(planted), len(found), len(movers.keys() - known.keys()), reasons, tuple(sorted(missed)), seconds
    )


def summary(results: Sequence[Result], without: Sequence[Result]) -> list[str]:
    """What was found over all corpora, in sentences."""
    planted, found, false, reasons = (
        sum(getattr(result, name) for result in results) for name in ("planted", "found", "false", "reasons")
    )
    named = found + false
    return [
        f"with {planted} planted: {found} named, and {false} others, {false / max(named, 1):.1%} of those named",
        f"the reason is among the first {FIRST} words of {reasons} of the {found} named",
        f"with none planted: none named in {sum(not result.false for result in without)} of {len(without)}",
        f"seconds per report: {max(result.seconds for result in (*results, *without)):.1f} at most",
    ]


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--run", "output", required=True, metavar="OUT", help="A run to draw rows from.")
@click.option("--seeds", type=click.IntRange(1), default=20, help="Corpora with products that move, and without.")
@click.option("--first-seed", type=int, default=0, help="The first seed.")
@click.option("--quarter", type=click.IntRange(1), default=Shape.quarter, help="Last months in which large ones move.")
@click.option("--half", type=click.IntRange(1), default=Shape.half, help="Last months in which the small one moves.")
@click.option("--results", metavar="FILE", help="Where to write the results, as JSON.")
def main(output: str, seeds: int, first_seed: int, quarter: int, half: int, results: str | None) -> None:
    """Measure how often `report --group-by product --over date` names products that were made to move.

    \b
    Example:
      batch-scorer score imdb_unsup.parquet imdb_train.parquet --id-column review_id --output scored
      python -m benchmarks.movers --run scored
    """
    pool, shape = Pool(output), Shape(quarter=quarter, half=half)
    judged: dict[bool, list[Result]] = {True: [], False: []}
    for seed in range(first_seed, first_seed + seeds):
        for is_planted, all_results in judged.items():
            with tempfile.TemporaryDirectory(prefix="batch-scorer-") as folder:
                made = Path(folder) / "made"
                planted = write_corpus(pool, shape, seed if is_planted else seed + 1_000_000, is_planted, made)
                result = judge(seed, planted, made)
            all_results.append(result)
            click.echo(
                f"seed {seed}: {result.found} of {result.planted} named, {result.false} others; {result.reasons} "
                f"reasons; {'; '.join(result.missed)}"
            )
    lines = summary(judged[True], judged[False])
    for line in lines:
        click.echo(line)
    if results is not None:
        document = {"shape": asdict(shape), "planted": judged[True], "none": judged[False], "summary": lines}
        Path(results).write_text(json.dumps(document, default=asdict, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
