"""`python -m train check`: the figures on data that a model was neither trained on nor chosen by, as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from batch_scorer.cli.framework import SETTINGS, Command, reports_errors
from batch_scorer.cli.numbers import Count
from batch_scorer.errors import InputError, OptionError
from batch_scorer.silence import greet_tensorflow

DELETED_FROM = 1_000  # reviews, the first ones


@click.command(cls=Command, context_settings=SETTINGS, short_help="Check a trained model where people try it first.")
@click.argument("model")
@click.option("--counterfactual", metavar="FILE", help="Rewritten reviews: columns id, pair, revised, label and text.")
@click.option("--counterfactual-holdout", default="dev/", metavar="PREFIX", help="Ids that count begin with this.")
@click.option("--domain", "domains", multiple=True, metavar="NAME=FILE",
              help="Texts of another domain, with a column stars or label; may be repeated.")  # fmt: skip
@click.option("--long", "long_files", multiple=True, metavar="FILE",
              help="Labelled reviews, of which those longer than one window count; may be repeated.")  # fmt: skip
@click.option("--rationales", metavar="FILE", help="Documents with the passages that people marked.")
@click.option("--phrases", metavar="FILE", help="Reviews to delete the phrases of that decide.")
@click.option("--sentences", type=Count(0), default=500, metavar="N",
              help="Sentences of each kind to make by grammar; 0 skips this.")  # fmt: skip
@click.option("--swaps", type=Count(0), default=100, metavar="N",
              help="Sentences to swap the people of, for each class; 0 skips this.")  # fmt: skip
@click.option("--seed", type=Count(0), default=20, metavar="N", help="Seed of random draws.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write the JSON here.  [default: print it]")  # fmt: skip
@reports_errors
def check(
    model: str, counterfactual: str | None, counterfactual_holdout: str, domains: tuple[str, ...],
    long_files: tuple[str, ...], rationales: str | None, phrases: str | None, sentences: int, swaps: int, seed: int,
    output: Path | None,
) -> None:  # fmt: skip
    """Check a model on rewritten reviews, sentences made by grammar, swaps of people, other domains, long reviews and
    human rationales, and its phrases by deleting them.

    \b
    Example:
      python -m train check model --counterfactual pairs.parquet --domain apps=apps.parquet --output checks.json
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from train.evaluate.command import rounded

    named = {}
    for domain in domains:
        name, _, file = domain.partition("=")
        if not name or not file or name in named:
            raise OptionError("a domain needs a name of its own and a file", expected="--domain NAME=FILE", got=domain)
        named[name] = file
    greet_tensorflow()
    found = measure(
        model, counterfactual, counterfactual_holdout, named, long_files, rationales, phrases, sentences, swaps, seed
    )
    text = json.dumps(rounded(found), indent=1) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    click.echo(f"wrote {output}")


def measure(
    model_dir: str, counterfactual: str | None, prefix: str, domains: Mapping[str, str], long_files: Sequence[str],
    rationales: str | None, phrases: str | None, sentences: int, swaps: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """The figures of each check that there are data for, as JSON.

    Raises:
        ArtifactError: the model is damaged.
        InputError: a file is missing, or lacks a column.
    """
    from batch_scorer.models.artifact import load
    from batch_scorer.models.engine import load_engine
    from train.evaluate.checks import labelled, made
    from train.evaluate.checks import phrases as deleted
    from train.evaluate.checks import rationales as marked
    from train.evaluate.model import Model

    # First of all, so that a name mistyped is told before anything is measured.
    pairs = _table(counterfactual, "id", "pair", "revised", "label", "text") if counterfactual else None
    tables = {name: _table(file, "text") for name, file in domains.items()}
    sides = [labelled.two_sides(_table(file, "text", "label").select(["text", "label"])) for file in long_files]
    documents = _table(rationales, "text", "rationales") if rationales else None
    reviews = _table(phrases, "text") if phrases else None

    artifact = load(model_dir)
    model = Model(artifact, load_engine(artifact))
    found: dict[str, Any] = {"model": {"id": artifact.model_id, "name": artifact.manifest["name"]}}
    if pairs is not None:
        found["pairs"] = labelled.pairs(model, pairs, prefix)
    if sentences:
        found["grammar"] = made.grammar(model, sentences, seed)
    if swaps:
        found["swaps"] = made.swaps(model, swaps, seed)
    if tables:
        found["domains"] = {name: labelled.domain(model, table) for name, table in tables.items()}
    if sides:
        texts = [text for side, _ in sides for text in side]
        found["long_reviews"] = labelled.long_reviews(model, texts, _joined([labels for _, labels in sides]))
    if documents is not None:
        found["rationales"] = marked.rationales(model, documents, seed)
    if reviews is not None:
        found["phrases"] = deleted.deletions(model, reviews["text"].to_pylist()[:DELETED_FROM], seed)
    return found


def _joined(labels: Sequence[Any]) -> Any:
    import numpy as np

    return np.concatenate(labels)


def _table(path: str, *columns: str) -> Any:
    import pyarrow.parquet as pq

    if not Path(path).is_file():
        raise InputError("the file does not exist", where=path, fix="check the options")
    table = pq.read_table(path)
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise InputError(
            f"a column is missing: {missing[0]}", where=path, expected=", ".join(columns),
            got=", ".join(table.column_names), fix="give a Parquet file with these columns",
        )  # fmt: skip
    return table
