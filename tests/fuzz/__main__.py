"""The command: runs targets and prints a table in Markdown."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def _arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--target", help="one target instead of all")
    parser.add_argument("--inputs", type=int, default=100_000, help="how many, over all targets (default: 100000)")
    parser.add_argument("--seed", type=int, default=1, help="of the inputs (default: 1)")
    parser.add_argument("--failures", type=Path, help="where inputs that fail are written")
    parser.add_argument("--coverage-guided", action="store_true", help="let atheris look for inputs, with --seconds")
    parser.add_argument("--seconds", type=int, default=60, help="of a coverage-guided run of one target (default: 60)")
    parser.add_argument("--corpus", type=Path, help="directory of inputs for a coverage-guided run to start from")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--guided-child", nargs=4, help=argparse.SUPPRESS)
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Runs what the words ask for; 1 if anything failed, 2 if it cannot be run."""
    asked = _arguments(words)
    if asked.guided_child:
        from tests.fuzz import guided

        guided.child(asked.target, *asked.guided_child)
    if asked.coverage_guided:
        from tests.fuzz import guided

        return guided.main(asked)
    from tests.fuzz import run
    from tests.fuzz.targets import TARGETS, named

    if asked.child:
        place, first, stop = asked.child
        run.child(named(asked.target), asked.seed, Path(place), int(first), int(stop))
        return 0
    chosen = [named(asked.target)] if asked.target else list(TARGETS)
    whole = sum(target.share for target in chosen)
    print("| target | inputs | crashes | unaccounted | seconds | peak resident MB |\n|---|---|---|---|---|---|")
    tallies = []
    for target in chosen:
        found = run.run(target.name, asked.seed, round(asked.inputs * target.share / whole), asked.failures)
        tallies.append(found)
        print(
            _row(found.target, found.inputs, found.crashes, found.unaccounted, found.seconds, found.peak_mb), flush=True
        )
    sums = [sum(getattr(found, name) for found in tallies) for name in ("inputs", "crashes", "unaccounted", "seconds")]
    print(_row("all", *sums, max(found.peak_mb for found in tallies)))
    for found in tallies:
        for way, (times, number) in sorted(found.ways.items(), key=lambda item: -item[1][0]):
            print(f"{found.target}: {times:,} x {way} (first: input {number})")
    return int(bool(sums[1] + sums[2]))


def _row(name: str, inputs: int, crashes: int, unaccounted: int, seconds: float, peak_mb: float) -> str:
    return f"| {name} | {inputs:,} | {crashes:,} | {unaccounted:,} | {seconds:,.0f} | {peak_mb:,.0f} |"


if __name__ == "__main__":
    sys.exit(main())
