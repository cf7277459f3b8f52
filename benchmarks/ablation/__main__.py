"""`python -m benchmarks.ablation`: the full recipe without one of its parts at a time, compared on validation."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from batch_scorer.errors import InputError, JobError, ScorerError
from batch_scorer.models.artifact import load

# How each variant differs from the full recipe, as settings of `python -m train`. Compare them with the first
# one: fine-tuning each of them three times, like the full recipe, would take an hour longer.
ONE, ALONE = "fine_tunings=1", "teacher.folds=0"
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "one fine-tuning": (ONE,),
    "one, no adversarial term": (ONE, "perturbation=0"),
    "one, no averaging of weights": (ONE, "average_decay=0"),
    "one, no embedding dropout": (ONE, "embedding_dropout=0"),
    "one, no word dropout": (ONE, "word_dropout=0"),
    "one, as first explored by others": (ONE, "learning_rate=0.001", "embedding_dropout=0.5", "perturbation=5"),
    "one, diversity term of weight 0.25": (ONE, "diversity=0.25"),
    "one, no texts without labels": (ONE, "mixture.unlabelled=0"),
    "one, no rewritten reviews": (ONE, "mixture.rewritten=0", "mixture.passages=0"),
    "one, from pre-training instead of the teacher": (ONE, "start=pretraining"),
    "one, no crops": (ONE, "mixture.crops=0"),
    "one, no sentences made by grammar": (ONE, "mixture.sentences=0"),
    "one, no teacher": (ONE, ALONE),
    # Without a teacher, whose networks share ids as well. Compare these with the variant above.
    "one, no teacher, no words share an id": (ONE, ALONE, "ties=none"),
    "one, no teacher, origins and countries share ids": (ONE, ALONE, "ties=origins,origins_plural,countries"),
    "one, no teacher, religions share ids": (ONE, ALONE, "ties=religions,religions_plural,faiths"),
    "one, no teacher, orientations share ids": (ONE, ALONE, "ties=orientations,orientations_plural"),
    "one, no teacher, first names share ids": (ONE, ALONE, "ties=first_names,first_names_possessive"),
    "one, no teacher, articles share an id": (ONE, ALONE, "ties=articles"),
}
FIGURES = ("accuracy", "accuracy_low", "accuracy_high", "auc", "log_loss", "ece")


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--data", "sources", multiple=True, required=True, metavar="FILE", help="As for `python -m train`.")
@click.option("--unlabelled", multiple=True, metavar="FILE", help="As for `python -m train`.")
@click.option("--id-column", help="As for `python -m train`.")
@click.option("--full", required=True, metavar="DIR",
              help="Model of the full recipe; its pretrained.npz and teacher.npz must be in DIR.work.")  # fmt: skip
@click.option("--counterfactual", multiple=True, metavar="FILE", help="As for `python -m train`.")
@click.option("--counterfactual-holdout", metavar="PREFIX", help="As for `python -m train`.")
@click.option("--seed", type=int, metavar="N", help="As for `python -m train`: another one for another --models.")
@click.option("--default", metavar="DIR", help="Model of the default preset, as the variant without pre-training.")
@click.option("--only", multiple=True, type=click.Choice(list(VARIANTS)),
              help="Train only these variants.  [default: all]")  # fmt: skip
@click.option("--models", required=True, type=click.Path(path_type=Path), metavar="DIR",
              help="Directory for the variants' models; existing ones are not trained again.")  # fmt: skip
@click.option("--output", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="JSON file to write.")  # fmt: skip
def main(
    sources: tuple[str, ...], unlabelled: tuple[str, ...], id_column: str | None, full: str,
    counterfactual: tuple[str, ...], counterfactual_holdout: str | None, seed: int | None, default: str | None,
    only: tuple[str, ...], models: Path, output: Path,
) -> None:  # fmt: skip
    """Train each variant of the full recipe from the same pre-trained tensors, and compare them on validation.

    \b
    Example:
      python -m benchmarks.ablation --data imdb_train.parquet --unlabelled imdb_unsup.parquet --id-column review_id \\
          --full model --default default-model --models ablation --output ablation.json
    """
    from rich.console import Console
    from rich.table import Table

    arguments = ["--preset", "full", "--pretrained", f"{full}.work/pretrained.npz"]
    teacher = Path(f"{full}.work/teacher.npz")
    told = {
        "--data": sources,
        "--unlabelled": unlabelled,
        "--id-column": (id_column,),
        "--counterfactual": counterfactual,
        "--counterfactual-holdout": (counterfactual_holdout,),
        "--seed": (seed,),
    }
    for name, values in told.items():
        arguments += [str(part) for value in values if value is not None for part in (name, value)]
    try:
        rows = [row("full", full), *([row("no pre-training (preset default)", default)] if default else [])]
        for name in only or VARIANTS:
            directory = models / name.replace(" ", "-").replace(",", "")
            if not (directory / "manifest.json").exists():
                taught = ["--teacher", str(teacher)] if teacher.exists() and ALONE not in VARIANTS[name] else []
                train(name, [*arguments, *taught, "--output", str(directory)])
            rows.append(row(name, str(directory)))
    except ScorerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    # The command to repeat it, without this machine's paths.
    command = ["python -m benchmarks.ablation"]
    for name, values in told.items():
        given = [value for value in values if value is not None]
        command += [f"{name} {Path(value).name if isinstance(value, str) else value}" for value in given]
    command += ["--full model"] + ["--default default-model"] * bool(default)
    command += [f"--only {json.dumps(name)}" for name in only]
    command += ["--models ablation --output docs/model_card/ablation.json"]
    results = {"command": " ".join(command), "rows": rows}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    table = Table("variant", *FIGURES, "epoch")
    for line in rows:
        table.add_row(line["variant"], *(f"{line[figure]:.4f}" for figure in FIGURES), str(line["epoch"]))
    Console().print(table)


def train(variant: str, arguments: list[str]) -> None:
    """Trains a variant in a separate process, from its last checkpoint if there is one.

    Raises:
        JobError: training failed.
    """
    settings = [part for setting in VARIANTS[variant] for part in ("--set", setting)]
    command = [sys.executable, "-m", "train", *arguments, *settings, "--name", "ablation", "--resume"]
    if code := subprocess.run(command, check=False).returncode:
        raise JobError(
            f"training the variant {variant!r} failed",
            where=" ".join(command),
            expected="exit code 0",
            got=f"exit code {code}",
            fix="see its message above",
        )


def row(variant: str, directory: str) -> dict[str, Any]:
    """A row of the table: the variant's figures on the validation split, from its manifest.

    Raises:
        InputError: the manifest has no figures on a validation split.
    """
    manifest = load(directory).manifest
    figures = manifest["metrics"].get("validation")
    if not figures:
        raise InputError("the model has no validation figures", where=directory, fix="train it with python -m train")
    return {"variant": variant, **{name: figures[name] for name in FIGURES}, "epoch": manifest["training"]["epoch"]}


if __name__ == "__main__":
    main()
