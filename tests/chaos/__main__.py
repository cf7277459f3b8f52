"""`python -m tests.chaos`: faults by the hundred, and a table of what they came to."""

from __future__ import annotations

import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from tests.chaos import corpora, store_trials, table
from tests.chaos.faults import FAULTS
from tests.chaos.jobs import Order
from tests.chaos.race import Races, race
from tests.chaos.trials import Ground, Struck, draw


@click.command(context_settings={"show_default": True})
@click.option("--faults", type=click.IntRange(1), default=120, help="How many have to strike.")
@click.option("--seed", type=int, default=1, help="Chooses faults, moments and inputs.")
@click.option(
    "--kind", multiple=True, type=click.Choice([*FAULTS, *store_trials.FAULTS]), help="Only these; may be repeated."
)
@click.option("--inputs", multiple=True, type=click.Choice(list(corpora.MAKERS)), help="Only these; may be repeated.")
@click.option("--workers", type=click.IntRange(1), help="Processes of a job.  [default: 2, now and then 1]")
@click.option("--records", type=click.IntRange(400), default=30_000, help="Of one job's input.")
@click.option("--real", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
              help="Score reviews of this Parquet file (review_id, text), with the shipped model.")  # fmt: skip
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Keep them, as JSON.")
@click.option("--add", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
              help="An --output from before, for the table.")  # fmt: skip
@click.option("--kept", type=click.Path(file_okay=False, path_type=Path), default=Path("chaos-kept"), metavar="DIR",
              help="Where outputs go that are not right.")  # fmt: skip
@click.option("--work", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
              help="Where jobs take place.  [default: the system's place for temporary files]")  # fmt: skip
@click.option("--store", is_flag=False, flag_value="both", type=click.Choice(["s3", "gs", "both"]),
              help="Faults of a store instead, which the jobs read and write.")  # fmt: skip
@click.option("--races", type=click.IntRange(0), default=200, help="Of two drivers for one output, with --store.")
def main(
    faults: int, seed: int, kind: tuple[str, ...], inputs: tuple[str, ...], workers: int | None, records: int,
    real: Path | None, output: Path | None, add: tuple[Path, ...], kept: Path, work: Path | None,
    store: str | None, races: int,
) -> None:  # fmt: skip
    """Has faults strike real jobs at random moments, and judges what becomes of these. Exits with 1 if any went wrong.

    \b
    Examples:
      python -m tests.chaos --faults 120 --seed 1 --output faults.json
      python -m tests.chaos --faults 10 --kind "disk full" --add faults.json
      python -m tests.chaos --store --faults 60 --records 400
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # no job is to be left behind
    folder = Path(tempfile.mkdtemp(prefix="chaos-", dir=work))
    before = [one for path in add for one in table.load(path)]
    struck: list[Struck] = []
    try:
        if store:
            schemes = store_trials.SCHEMES if store == "both" else (store,)
            _strike_stores(schemes, faults, kind, random.Random(seed), records, folder, kept, struck, output)
            lines = [race(scheme, races // len(schemes)) for scheme in schemes if races]
            return _finish([*before, *struck], struck, kept, lines)
        wanted = kind or tuple(name for name, fault in FAULTS.items() if not _told_lacking(name))
        orders = _orders(folder, inputs, records, real)
        ground, rng = Ground(folder, kept), random.Random(seed)
        while len(struck) < faults:
            for name in rng.sample(wanted, len(wanted)):
                chosen, processes = draw((name, *wanted), workers, rng)
                corpus, model, shard_rows = rng.choice(orders)
                found = ground.trial(Order(corpus, model, shard_rows, processes), chosen, rng)
                struck += found
                _tell(found, len(struck))
                if output:
                    table.save(struck, output)
                if len(struck) >= faults:
                    break
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _finish([*before, *struck], struck, kept)


def _finish(shown: list[Struck], struck: list[Struck], kept: Path, races: Sequence[Races] = ()) -> None:
    click.echo("\n" + table.markdown(shown))
    wrong = [one for one in struck if one.problems]
    click.echo(f"{len(struck)} faults; {len(wrong)} of them went wrong" + (f": see {kept}" if wrong else ""))
    for each in races:
        click.echo(str(each))
    sys.exit(bool(wrong) or any(each.winners.keys() != {1} for each in races))


def _strike_stores(
    schemes: tuple[str, ...], faults: int, kinds: tuple[str, ...], rng: random.Random, records: int,
    folder: Path, kept: Path, struck: list[Struck], output: Path | None,
) -> None:  # fmt: skip
    """Has so many faults of stores strike, and adds them to `struck`."""
    with store_trials.places(schemes) as places:
        ground = store_trials.StoreGround(places, folder, kept, records)
        for scheme, fault in store_trials.schedule(schemes, kinds, rng):
            if len(struck) >= faults:
                return
            one = ground.trial(scheme, fault, rng)
            if one:
                struck.append(one)
                _tell((one,), len(struck))
                if output:
                    table.save(struck, output)


def _told_lacking(name: str) -> bool:
    reason = FAULTS[name].lacking()
    if reason:
        click.echo(f"{name}: left out, {reason}")
    return bool(reason)


def _orders(
    folder: Path, inputs: tuple[str, ...], records: int, real: Path | None
) -> list[tuple[corpora.Corpus, Path, int]]:
    """What to score, with which model, in shards of how many."""
    if real:
        return [(corpora.real(folder, real, records), corpora.shipped_model(), max(1, records // 40))]
    model = corpora.small_model(folder)
    made = [corpora.MAKERS[name](folder / "in", records) for name in inputs or corpora.MAKERS]
    return [(corpus, model, max(1, corpus.records // 50)) for corpus in made]


def _tell(found: tuple[Struck, ...], number: int) -> None:
    for place, one in enumerate(found, number - len(found) + 1):
        what = f"{one.fault}{f' ({one.variant})' if one.variant else ''}"
        job = f"{one.corpus}, {one.workers} workers, {one.done} of {one.shards} shards, {one.moment}"
        end = f"exit {one.code} in {one.end_s:.1f} s, {'identical' if one.identical else 'NOT identical'}"
        click.echo(f"{place:4d} {what}: {job}: {end}")
        for problem in one.problems:
            click.echo(f"     ! {problem}")
        if one.problems:
            click.echo("       " + one.said.replace("\n", "\n       "))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
