"""`python -m train --start-from`: the options in, an adapted model and a table of what that is worth out."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from batch_scorer.errors import InputError
from batch_scorer.escape import install
from batch_scorer.models.artifact import SHIPPED, Artifact, load
from batch_scorer.models.network import VARIANT
from batch_scorer.models.splitting import Splitting
from batch_scorer.models.tokenizer import Tokenizer, has_words
from train.adapt.fitting import Adapted, Folds, adapt
from train.adapt.table import Line, Story, linear_logits, lines_of, table, verdict
from train.adapt.tuner import Recipe
from train.adapt.vocabulary import grown
from train.data import Examples, Say, read_examples, read_texts
from train.options import changed
from train.overview import overview
from train.page.write import write_page
from train.prepare import Prepared, encoded
from train.progress import bar
from train.publish import publish
from train.run import Run, replace_text
from train.sides import GIVEN, IN_TURN, STRATIFIED
from train.terminal import prepare

if TYPE_CHECKING:
    from train.inputs import Inputs

RunOf = Callable[[Mapping[str, Any]], AbstractContextManager[Run]]

SHIPPED_NAME = "shipped"
FEWEST = 8  # of either label


def load_start(path: str) -> Artifact:
    """The model to start from: a directory, or `shipped`.

    Raises:
        ArtifactError: it cannot be loaded.
        InputError: its network is not one that can be fine-tuned here.
    """
    model = load(SHIPPED if path == SHIPPED_NAME else path)
    variant = [f"{name}={value}" for name, value in model.architecture.to_json().items() if name in VARIANT]
    if variant or isinstance(model.tokenizer.pattern, Splitting):
        raise InputError(
            "this model cannot be adapted",
            where=path,
            expected="the network of this project (an LSTM with a mask and sigmoid gates, attention with a query), and "
            "its words",
            got=", ".join(variant) or "the words of a tokenizer of Keras",
            fix="start from another model, or train one with --preset default",
        )
    return model


def read_labels(inputs: Inputs, say: Say) -> tuple[Examples, list[str]]:
    """The labelled texts, and those without labels.

    Raises:
        InputError: there are too few of either label, or scikit-learn is not installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise InputError(
            "a package is missing", expected="scikit-learn, for the linear model and the calibration",
            fix=f"from a checkout: {install('train')}",
        )  # fmt: skip
    examples = read_examples(inputs.sources, inputs.columns, inputs.reads, say)
    if inputs.validation:
        examples = examples.with_validation(read_examples(inputs.validation, inputs.columns, inputs.reads, say))
    positive = int(examples.labels.sum())
    if min(positive, len(examples) - positive) < FEWEST:
        raise InputError(
            "there are too few labels to adapt a model",
            where=", ".join(inputs.sources),
            expected=f"at least {FEWEST} positive and {FEWEST} negative ones, better 50 in all or more",
            got=f"{positive:,} positive, {len(examples) - positive:,} negative",
            fix="label more texts, above all of the rarer kind",
        )
    texts = read_texts(inputs.unlabelled, inputs.columns, inputs.reads, say)
    return examples, [text for text in texts if has_words(text)]


def start(
    path: str, inputs: Inputs, output: Path, work: Path, name: str, changes: dict[str, Any], settings: tuple[str, ...],
    deterministic: bool, resume: bool,
) -> None:  # fmt: skip
    """Adapts the model at `path` to what is given and writes the artefact."""
    console, say = prepare(deterministic)
    recipe = changed(dataclasses.replace(Recipe(), **changes), settings)
    model = load_start(path)

    @contextmanager
    def run_of(fixed: Mapping[str, Any]) -> Iterator[Run]:
        with bar(console) as on_step:
            yield Run(work, resume, fixed, on_step)

    model_id = adapt_model(model, inputs, recipe, output, name, run_of, say)
    say(f"model {model_id} in {output}")


def adapt_model(
    start: Artifact, inputs: Inputs, recipe: Recipe, output: Path, name: str, run_of: RunOf, say: Say
) -> str:  # fmt: skip
    """Reads the labels, adapts, writes the model and says what it is worth; returns the model's id.

    Args:
        run_of: makes the run of its settings, as JSON.
    """
    examples, unlabelled = read_labels(inputs, say)
    folds = Folds.make(recipe, examples)
    tokenizer = grown(
        start.tokenizer, [*examples.subset(~folds.given).texts, *unlabelled], recipe.new_words, recipe.least_count
    )
    data = prepared(tokenizer, examples, folds, unlabelled)
    seen = overview(data)
    for line in seen.lines():
        say(line)
    new_words = len(tokenizer.vocabulary) - len(start.vocabulary)
    say(f"starting from {start.manifest['name']} {start.model_id}; {new_words:,} new words")
    settings = {"adapt": dataclasses.asdict(recipe), "start": start.model_id, "data": data.digest()}
    with run_of(settings) as run:
        adapted = adapt(recipe, start, tokenizer, examples, folds, unlabelled, run)
    linear = linear_logits(examples, adapted)
    lines, said = lines_of(examples, adapted, linear), verdict(examples, adapted, linear)
    architecture = dataclasses.replace(start.architecture, vocabulary_size=len(tokenizer.vocabulary))
    provenance = {"start_model": start.model_id, "new_words": new_words, "share_of_new_weights": adapted.share}
    model_id = publish(output, name, architecture, data, adapted.fitted, recipe, provenance)
    run.finish()
    _tell(run, examples, adapted, lines, said, say)
    write_page(output, run, data, adapted.fitted, seen, {"data": inputs.sources, **settings}, say, Story(lines, said))
    return model_id


def prepared(tokenizer: Tokenizer, examples: Examples, folds: Folds, unlabelled: list[str]) -> Prepared:
    """The data, of which the validation side is what some network is not fitted to."""
    sides = {"training": ~folds.given, "validation": folds.measured}
    texts = {name: examples.subset(side).texts for name, side in sides.items()}
    whole = encoded(examples, tokenizer)
    by = GIVEN if examples.given is not None else STRATIFIED if folds.networks == 1 else IN_TURN
    return Prepared(
        tokenizer,
        np.zeros(len(tokenizer.vocabulary), np.int64),  # counts, which are for trainings from nothing
        whole.subset(sides["training"]),
        whole.subset(sides["validation"]),
        examples.fingerprint(),
        texts,
        unlabelled,
        (),
        by,
        examples.labelling,
        examples.subset(sides["validation"]).ids,
    )


def _tell(run: Run, examples: Examples, adapted: Adapted, lines: list[Line], said: list[str], say: Say) -> None:
    """Says what came of it, and keeps it as `adapted.json` in the work directory."""
    how = "given for validation" if examples.given is not None else "scored by networks that were not fitted to them"
    say("")
    say(f"{int(adapted.folds.measured.sum()):,} labelled texts, {how}:")
    for line in ("", *table(lines), "", *said):
        say(line)
    say(
        f"The model takes {adapted.share:.0%} of what the networks learnt; temperatures are multiplied by "
        f"{adapted.correction.scale:.2f}, and {adapted.correction.shift:+.2f} is added to each logit."
    )
    kept = {
        "labels": len(examples), "held_out": int(adapted.folds.measured.sum()), "share": adapted.share,
        "correction": dataclasses.asdict(adapted.correction),
        "models": [{"name": line.name, **line.quality} for line in lines], "verdict": said,
    }  # fmt: skip
    replace_text(run.directory / "adapted.json", json.dumps(kept, indent=2) + "\n")
