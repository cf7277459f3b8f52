"""The section of the model card on what the model is and how it was trained, from its manifest and its log."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from batch_scorer.models.network import Architecture
from batch_scorer.models.windows import in_words
from train.evaluate.wording import table
from train.run import PRETRAINING

Json = Mapping[str, Any]

STAGES = {"pretraining": "pre-training"}  # as the card names them, where that differs from the recipe


def details(model_id: str, manifest: Json, log: Sequence[Json], folder: str) -> list[str]:
    """The paragraphs.

    Args:
        log: lines of the training run's `log.jsonl`.
        folder: prefix of the links to the figures.
    """
    a = Architecture(**manifest["architecture"])
    weights = sum(math.prod(shape) for shape in a.tensor_shapes().values())
    total_h = sum(line.get("seconds", 0) for line in log) / 3600
    pretraining_h = sum(line.get("seconds", 0) for line in log if line["stage"] == PRETRAINING) / 3600
    stages = [f"{name} {hours:.1f} h" for name, hours in
              (("pre-training", pretraining_h), ("fine-tuning", total_h - pretraining_h)) if hours]  # fmt: skip
    rows = [
        ("model", f"{manifest['name']} `{model_id}`"),
        ("architecture", f"embedding of {a.vocabulary_size:,} ids in {a.embedding_dim} dimensions; bidirectional LSTM "
         f"with {a.units} units per direction; additive attention with {a.attention_units} units (Bahdanau et al. "
         "2015); batch normalisation; one linear output"),
        ("reads", f"{in_words(manifest['tokenizer'])}, lower-cased"),
        ("weights", f"{weights:,}, float32, {4 * weights / 1e6:.1f} MB"),
        ("temperature, threshold", f"{manifest['temperature']:.4f}, {manifest['threshold']:g}"),
        ("compute", f"{total_h:.1f} h ({', '.join(stages)}), from the training log"),
        ("trained with", ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())),
        ("licence", "the same as this project's: see `LICENSE`"),
    ]  # fmt: skip
    recipe = manifest["training"]["recipe"]
    # The settings of the other stages lie in the recipe as dictionaries.
    columns = {"fine-tuning": {name: value for name, value in recipe.items() if not isinstance(value, dict)}}
    columns |= {STAGES.get(name, name): value for name, value in recipe.items() if isinstance(value, dict)}
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    settings = [(f"`{name}`", *(_setting(column.get(name)) for column in columns.values())) for name in names]
    how = [
        "Before fine-tuning, the embedding and both LSTM directions were trained as language models (Dai and Le 2015)."
        if "pretraining" in recipe else "",
        "Fine-tuning is adversarial (Miyato et al. 2017) and keeps a moving average of the weights.",
        f"It was run {recipe['fine_tunings']} times from the same weights, each time in a different order, and the "
        "model is the mean of all runs (Wortsman et al. 2022)." if recipe.get("fine_tunings", 1) > 1 else "",
        "It learns from the labels and from a teacher, networks and NBSVM together (Hinton et al. 2015), on reviews, "
        "texts without labels, rewritten reviews, crops, and sentences made by grammar." if "mixture" in recipe else "",
        f"Epoch {manifest['training']['epoch']} was chosen.",
    ]  # fmt: skip
    return [
        table(["", ""], rows),
        " ".join(sentence for sentence in how if sentence),
        table(["setting", *(f"#{name}" for name in columns)], settings),
        f"![Losses and validation figures over the training run]({folder}curves.svg)",
    ]  # fmt: skip


def rounds(training: Json) -> list[str]:
    """The lines on rounds of fine-tuning, if there were several."""
    if training.get("rounds", 1) == 1:
        return []
    return [
        "",
        f"The weights come from {training['rounds']} rounds of fine-tuning, "
        "[one after another](train.md#the-shipped-model). The first command does all of it in one round, and comes "
        "close to them without being the same.",
    ]


def changes(recipe: Json) -> list[str]:
    """The settings of a full recipe that are not the defaults, as `--set` takes them."""
    from train.full import Recipe

    found = []
    for name, default in dataclasses.asdict(Recipe()).items():
        if isinstance(default, dict):
            stage = recipe.get(name, {})
            found += [f"{name}.{key}={stage[key]}" for key in default if stage.get(key, default[key]) != default[key]]
        elif recipe.get(name, default) != default:
            found.append(f"{name}={recipe[name]}")
    return found


def _setting(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
