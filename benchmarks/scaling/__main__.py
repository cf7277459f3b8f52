"""`python -m benchmarks.scaling`: simulates how long jobs take on large clusters, and what they cost."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import click

from batch_scorer.errors import OptionError, ScorerError
from batch_scorer.runners.estimate import DATAFLOW_START_S, VCPU_SHARE
from benchmarks.scaling import cases, show
from benchmarks.scaling.costs import ROUND_TRIP_S, measured

MEASURED = Path(__file__).parents[2] / "docs" / "performance" / "job.json"


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--measured", "path", type=click.Path(path_type=Path), default=MEASURED, metavar="FILE",
              show_default="docs/performance/job.json", help="job.json of benchmarks.job.")  # fmt: skip
@click.option("--vcpu-share", type=click.FloatRange(0, 1, min_open=True), default=VCPU_SHARE,
              help="Assumption: speed of a vCPU relative to a process on the measured machine.")  # fmt: skip
@click.option("--start", type=click.FloatRange(0), default=DATAFLOW_START_S, metavar="S",
              help="Assumption: time from requesting a machine until a process starts on it.")  # fmt: skip
@click.option("--round-trip", type=click.FloatRange(0), default=ROUND_TRIP_S, metavar="S",
              help="Assumption: time for a request to the object store and its response.")  # fmt: skip
@click.option("--price", type=click.FloatRange(0), default=0.05, help="Price of a vCPU-hour, in any currency.")
@click.option("--seed", type=click.IntRange(0), default=1, help="Seed of speeds, stragglers and preemptions.")
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR",
              help="Directory for scaling.json, scaling.md and scaling.svg.")  # fmt: skip
def main(
    path: Path, vcpu_share: float, start: float, round_trip: float, price: float, seed: int, output: Path | None
) -> None:
    """Simulate jobs of 10^6 to 10^10 reviews and print the tables of docs/scaling.md.

    Workers take shards from a queue, differ in speed, and can be preempted in the middle of a shard. Nothing is scored;
    it takes about 15 seconds.

    \b
    Examples:
      python -m benchmarks.scaling
      python -m benchmarks.scaling --measured results/job.json --vcpu-share 1 --price 0.03 --output results
    """
    try:
        scale(path, vcpu_share, start, round_trip, price, seed, output)
    except ScorerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


def scale(
    path: Path, vcpu_share: float, start: float, round_trip: float, price: float, seed: int, output: Path | None
) -> None:
    """Runs all cases, prints the tables and writes them to `output`.

    Raises:
        OptionError: there is an `output` but no matplotlib.
        InputError: the measured times cannot be read.
    """
    if output and importlib.util.find_spec("matplotlib") is None:
        raise OptionError(
            "--output draws a figure, which needs matplotlib", fix="from a checkout: pip install -e '.[evaluate]'"
        )
    results = cases.run(measured(path, vcpu_share, round_trip), price, start, round_trip, seed)
    text = "\n".join(show.tables(results).values())
    click.echo(text, nl=False)
    if output:
        output.mkdir(parents=True, exist_ok=True)
        (output / "scaling.json").write_text(json.dumps(results, indent=2) + "\n")
        (output / "scaling.md").write_text(text)
        show.save_figure(results, output / "scaling.svg")


if __name__ == "__main__":
    main()
