"""What a run is given by its options: labelled reviews, texts without labels, rewritten reviews, earlier results."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_scorer.errors import OptionError
from batch_scorer.models import artifact
from batch_scorer.models.network import Architecture
from batch_scorer.models.subwords import SubwordTokenizer
from batch_scorer.models.tokenizer import APOSTROPHES, Tokenizer
from train.borrow import borrow
from train.data import Columns, Say, read_examples, read_texts
from train.material.counterfactual import Rewritten
from train.material.sources import read_rewritten
from train.material.word_classes import chosen, read_classes
from train.prepare import Prepared, from_ranks, from_texts
from train.reading import Reading
from train.sources import ReadOptions

if TYPE_CHECKING:
    from train.fit import Fitted
    from train.full import Given


@dataclass(frozen=True)
class Inputs:
    """The options that say what is read.

    Args:
        sources: labelled reviews.
        validation: labelled reviews to validate on; without any, a share of the `sources` is held out.
        reads: how files are read.
        word_index: Keras' word index, where the reviews are Keras' own files.
        counterfactual: rewritten reviews; pairs whose id begins with `holdout` are kept back.
        pretrained, teacher: results of the first stages of another run.
        start_model: directory of a model to start from.
        teacher_models: directories of models that join the teacher.
        subwords: whether ids are of pieces of words.
    """

    sources: tuple[str, ...]
    columns: Columns
    reads: ReadOptions | None = None
    validation: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    word_index: Path | None = None
    counterfactual: tuple[str, ...] = ()
    holdout: str | None = None
    pretrained: Path | None = None
    teacher: Path | None = None
    start_model: Path | None = None
    subwords: bool = False
    teacher_models: tuple[Path, ...] = ()

    def check(self, preset: str, start_from: str | None = None) -> None:
        """Refuses options that do not go together.

        Args:
            start_from: the model to adapt, if one is.

        Raises:
            OptionError: they do not.
        """
        keras = any(source.endswith(".npz") for source in self.sources)
        if (self.word_index is not None) != keras or (
            self.word_index and (preset != "notebook" or len(self.sources) > 1)
        ):
            raise OptionError(
                "Keras' files go together, and only with the preset notebook",
                expected="--preset notebook --data imdb.npz --word-index imdb_word_index.json",
            )
        if self.subwords and (preset == "notebook" or start_from is not None):
            raise OptionError(
                "the notebook's network reads words, and a model that is adapted reads what it reads",
                where="--tokenizer", expected="words with --preset notebook or --start-from", got="subwords",
                fix="leave out --tokenizer, --preset or --start-from",
            )  # fmt: skip
        stages = (self.pretrained, self.counterfactual, self.teacher, self.start_model, self.teacher_models)
        options = "--pretrained, --counterfactual, --teacher, --teacher-model and --start-model"
        if start_from is not None and (preset != "default" or keras or any(stages)):
            raise OptionError(
                "--start-from has a recipe of its own",
                expected="--start-from MODEL --data INPUT, with or without --validation and --unlabelled",
                fix=f"leave out --preset, {options}",
            )
        if preset != "full" and start_from is None and (self.unlabelled or any(stages)):
            raise OptionError(
                f"--unlabelled, {options} are for the full recipe",
                fix="add --preset full",
            )
        if self.teacher and self.teacher_models:
            raise OptionError(
                "the file of a teacher already has its members", where="--teacher and --teacher-model",
                expected="one of them", fix="leave out --teacher to make a teacher of which these models are members",
            )  # fmt: skip
        if keras and self.validation:
            raise OptionError("--validation is for reviews as texts", fix="leave --validation out")
        if self.holdout and not self.counterfactual:
            raise OptionError("--counterfactual-holdout is for rewritten reviews", fix="add --counterfactual FILE")

    def prepare(
        self, preset: str, recipe: Any, architecture: Architecture, say: Say
    ) -> tuple[Prepared, Rewritten | None]:
        """Reads everything; the recipe says how.

        Args:
            say: is told what is left out, how the labels divide, and how many words are pre-trained.

        Raises:
            OptionError: the recipe cannot be trained.
        """
        if preset == "full":
            from train import full

            full.check(recipe, self._given())
        shape = (recipe.validation_share, recipe.vocabulary_size)
        reading = Reading(architecture.max_words, architecture.max_length, subwords=self.subwords)
        if self.word_index:
            from train.keras_files import read_keras_files

            ranks = read_keras_files(Path(self.sources[0]), self.word_index)
            return from_ranks(ranks, *shape, reading.max_words, reading.max_ids), None
        examples = read_examples(self.sources, self.columns, self.reads, say)
        if self.validation:
            examples = examples.with_validation(read_examples(self.validation, self.columns, self.reads, say))
        texts = read_texts(self.unlabelled, self.columns, self.reads, say)
        if preset != "full":
            return from_texts(examples, *shape, reading, preset == "notebook", texts), None
        ties = chosen(read_classes(), recipe.ties)
        reading = dataclasses.replace(
            reading, pattern=APOSTROPHES, max_windows=recipe.max_windows, ties=ties, words_of=self._start_words()
        )
        rewritten = None
        if self.counterfactual:
            rewritten = read_rewritten(
                self.counterfactual, self.columns, examples, recipe.validation_share, self.holdout
            )
        left_out = rewritten.left_out if rewritten else None
        data = from_texts(examples, *shape, reading, False, texts, left_out)
        if self.pretrained:  # before hours of work, not after
            say(borrow(self.pretrained, data.vocabulary, data.counts, architecture, recipe.seed).sentence())
        return data, rewritten

    def _start_words(self) -> Tokenizer | None:
        """The tokenizer of the model to start from, whose words keep their ids."""
        if self.start_model is None:
            return None
        tokenizer = artifact.load(str(self.start_model)).tokenizer
        if isinstance(tokenizer, SubwordTokenizer) != self.subwords:
            kinds = ("words", "subwords") if self.subwords else ("subwords", "words")
            raise OptionError(
                "the model to start from has other ids", where=str(self.start_model),
                expected=f"a model of {kinds[1]}", got=f"one of {kinds[0]}",
                fix=f"say --tokenizer {kinds[0]}, or leave out --start-model",
            )  # fmt: skip
        return tokenizer

    def _given(self, rewritten: Rewritten | None = None) -> Given:
        from train import full

        return full.Given(self.pretrained, self.teacher, rewritten, self.start_model, self.teacher_models)

    def fitting(self, preset: str, rewritten: Rewritten | None) -> Callable[..., Fitted]:
        """The function of recipe, architecture, data and run that fits the network of a preset."""
        if preset == "full":
            from train import full

            return functools.partial(full.fit, given=self._given(rewritten))
        if preset == "notebook":
            from train import notebook

            return notebook.fit
        from train import fit

        return fit.fit

    def settings(self, rewritten: Rewritten | None) -> dict[str, Any]:
        """What the result depends on besides the data and the recipe, by sha256."""
        models = self.teacher_models
        return {
            "pretrained": _sha256(self.pretrained),
            "teacher": _sha256(self.teacher),
            **({"start_model": _sha256(self.start_model / "manifest.json")} if self.start_model else {}),
            **({"teacher_models": [_sha256(m / "manifest.json") for m in models]} if models else {}),
            "rewritten": rewritten.digest() if rewritten else None,
        }

    def provenance(self, rewritten: Rewritten | None) -> dict[str, Any]:
        """What the artefact records of all this, besides the labelled reviews."""
        found: dict[str, Any] = {"rewritten": rewritten.counts()} if rewritten else {}
        if self.start_model:
            found["start_model"] = artifact.load(str(self.start_model)).model_id
        if self.teacher_models:
            found["teacher_models"] = [artifact.load(str(model)).model_id for model in self.teacher_models]
        return found


def _sha256(path: Path | None) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path and path.is_file() else None
