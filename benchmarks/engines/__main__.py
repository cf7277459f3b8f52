"""`python -m benchmarks.engines`: whether every engine gives the same parts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from batch_scorer.errors import ScorerError
from benchmarks.engines.run import Settings, document, from_json, measure, page, table, to_json
from benchmarks.engines.ways import WAYS
from benchmarks.job.options import from_anywhere, source_options
from benchmarks.job.reviews import Source


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@source_options
@click.option("--reviews", type=click.IntRange(100), default=20_000, help="How many records to score.")
@click.option(
    "--shard-rows", type=click.IntRange(1), metavar="N", help="As of `score`.  [default: the command decides]"
)
@click.option("--way", "ways", multiple=True, type=click.Choice(list(WAYS)), help="Only this way; may be repeated.")
@click.option("--results", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Keep the results there, as JSON; what is there already is not run again.")  # fmt: skip
@click.option("--write", is_flag=True, help="Replace the table in docs/engines.md.")
def main(
    data: str, text_column: str, id_column: str | None, model: str, reviews: int, shard_rows: int | None,
    ways: tuple[str, ...], results: Path | None, write: bool,
) -> None:  # fmt: skip
    """Score the same records in one process, in two, on Prism, on Flink and on Spark, embedded in their job server and
    on a cluster of two, with the output on the local disk and on s3:// (moto). Fail unless all parts are identical,
    byte for byte. Needs what `scripts/engines` fetches, and moto.

    \b
    Example:
      python -m benchmarks.engines --data imdb_train.parquet --id-column review_id --write
    """
    model = from_anywhere(model)
    source = Source(str(Path(data).resolve()), text_column, id_column)
    settings = Settings(source, model, reviews, shard_rows, [name for name in WAYS if name in (ways or WAYS)])
    try:
        before = from_json(json.loads(results.read_text()), settings) if results and results.exists() else []
        found = list(before)
        for way in settings.ways:  # kept one by one: a later one may fail
            found = measure(settings.only(way), found, click.echo)
            if results:
                results.write_text(json.dumps(to_json(settings, found), indent=2) + "\n")
    except ScorerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    click.echo(table(found, settings))
    if write:
        page().write_text(document(page().read_text(encoding="utf-8"), found, settings), encoding="utf-8")


if __name__ == "__main__":
    main()
