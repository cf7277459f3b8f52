"""A model to use from Python: texts in, rows out; one text in, its explanation out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cached_property

import pyarrow as pa

from batch_scorer.api import rows
from batch_scorer.api.explanation import Explanation
from batch_scorer.api.scoring_process import ScoringProcess
from batch_scorer.api.texts import values
from batch_scorer.config import FLOAT32, PRECISIONS, InputConfig, ScoringConfig
from batch_scorer.errors import InputError, OptionError
from batch_scorer.models import artifact, engine
from batch_scorer.models.artifact import SHIPPED, Artifact
from batch_scorer.models.exact_engine import ExactEngine
from batch_scorer.schema import Segments
from batch_scorer.scoring.caveats import Caveats
from batch_scorer.scoring.chunk import Scorer
from batch_scorer.scoring.read import read_texts
from batch_scorer.scoring.review import check, explain_review

SPANS_EXPLAINED = 10  # phrases of an explanation


def load_model(path: str | os.PathLike[str] | None = None, *, precision: str = FLOAT32) -> Model:
    """Loads and verifies a model.

    Args:
        path: its directory, local or in an object store; None is the shipped one.
        precision: of the network's products in `Model.score`: `float32` or `bfloat16`.

    Raises:
        ArtifactError: there is no model, or it is damaged.
        OptionError: this model cannot be used with this precision.

    Example:
        >>> from batch_scorer import load_model
        >>> load_model()
        Model(name='imdb', model_id='790ea01cb093')
    """
    if precision not in PRECISIONS:
        raise OptionError("there is no such precision", expected=" or ".join(PRECISIONS), got=repr(precision))
    loaded = artifact.load(SHIPPED if path is None else os.fspath(path))
    engine.check_precision(loaded, precision)
    return Model(loaded, precision)


class Model:
    """A loaded model; `load_model` makes one.

    Args:
        loaded: the artefact.
        precision: of the network's products in `score`.

    Attributes:
        model_id: the first 12 hex digits of its hash, which name it everywhere.
        name: what it was called at training.
    """

    def __init__(self, loaded: Artifact, precision: str = FLOAT32) -> None:
        self.model_id, self.name = loaded.model_id, str(loaded.manifest["name"])
        self._artifact, self._precision = loaded, precision
        self._process = ScoringProcess(loaded, precision)

    def score(
        self,
        texts: Iterable[object],
        top_k: int = ScoringConfig.top_k,
        *,
        max_text_bytes: int = InputConfig.max_text_bytes,
        sentences: bool = ScoringConfig.sentences,
        spans: int = ScoringConfig.spans,
        target_accuracy: float | None = None,
        unusual: bool = False,
    ) -> pa.Table:
        """Scores texts: the same numbers, to the last bit, as `score_job` and the command line write.

        TensorFlow runs in a child process, with the settings of a job, so nothing changes in this one: not its threads,
        environment, loggers or signal handlers. The first call starts it, which takes some seconds. Texts are scored
        in chunks, so memory is bounded apart from the result.

        Args:
            texts: a list, a generator, a pandas Series, a NumPy array, or a pyarrow Array or ChunkedArray.
            top_k: words in `top_attended` and `top_contributing`; 0 for none.
            max_text_bytes: larger texts are rejected, measured in UTF-8.
            sentences: whether there are columns `sentences`, with every sentence, and `start_contribution`.
            spans: phrases in the column `top_spans`, beside `spans_rest`; 0 for neither.
            target_accuracy: adds the column `decided`, as `--target-accuracy` does.
            unusual: adds the column `unusual`, as `--unusual` does.

        Returns:
            One row per text, in their order, with the columns of `predictions` but `record_id`, `source`, `offset` and
            `run_id`; with `temperature`, where the model has one for each review. The last column, `error`, is null
            where all is well. A text that cannot be scored (missing, not a string, too large, without words ...) has
            its code there (`schema.ERROR_CODES`) and nulls elsewhere.

        Raises:
            OptionError: `texts` is a single string, or a table; `top_k` or `spans` is negative; or `target_accuracy`
                cannot be had.
            EngineError: the model fails on every text, or memory ran out.

        Example:
            >>> from batch_scorer import load_model
            >>> table = load_model().score(["A lovely film.", "Dull.", None])
            >>> table.select(["predicted_label", "n_tokens", "error"]).to_pylist()  # doctest: +NORMALIZE_WHITESPACE
            [{'predicted_label': 'positive', 'n_tokens': 3, 'error': None},
             {'predicted_label': 'negative', 'n_tokens': 1, 'error': None},
             {'predicted_label': None, 'n_tokens': None, 'error': 'missing_text'}]
        """
        check_listed(top_k=top_k, spans=spans)
        segments, caveats = Segments(sentences, spans), caveats_for(self._artifact, target_accuracy, unusual)
        chunks = read_texts(values(texts), max_text_bytes)
        tables = [rows.table(self._process.score(chunk, top_k, segments, caveats)) for chunk in chunks]
        optional = self._process.columns_with(segments, caveats)
        return pa.concat_tables([rows.schema(optional).empty_table(), *tables])

    def explain(self, text: str, top_k: int = ScoringConfig.top_k, *, spans: int = SPANS_EXPLAINED) -> Explanation:
        """Scores one text and says what each of its words, sentences and phrases adds.

        It needs neither TensorFlow nor a child process and answers at once: the network runs in double precision, in
        NumPy. So the numbers may differ from those of `score` in the last digits (`models.exact_engine` says how far).

        Args:
            text: a review.
            top_k: words in each list of the explanation's `row`.
            spans: the most phrases in the explanation's `spans`.

        Raises:
            InputError: the text is not a string, too large, without words, or has half of a surrogate pair.
            OptionError: `top_k` or `spans` is negative.

        Example:
            >>> from batch_scorer import load_model
            >>> why = load_model().explain("Slow to start, but what a wonderful ending.")
            >>> why.label, why.row["top_contributing"][0]["token"]
            ('positive', 'wonderful')
            >>> max(why.words, key=lambda word: word.attention).token
            'wonderful'
        """
        check_listed(top_k=top_k, spans=spans)
        if not isinstance(text, str):
            raise InputError("the text is not a string", where="explain", got=f"a value of type {type(text).__name__}")
        check(text, "explain", self._artifact.tokenizer)
        review = explain_review(text, Scorer(self._artifact, self._exact), top_k, Segments(True, spans))
        return Explanation(review, lambda other: self.explain(other, top_k, spans=spans), self._artifact.tokenizer)

    @cached_property
    def _exact(self) -> ExactEngine:
        return ExactEngine(self._artifact)

    def close(self) -> None:
        """Ends the child process of `score`; another call starts one again. It also ends with the model."""
        self._process.close()

    def __repr__(self) -> str:
        return f"Model(name={self.name!r}, model_id={self.model_id!r})"


def caveats_for(loaded: Artifact, target_accuracy: float | None, unusual: bool) -> Caveats:
    """What was asked to be said of each review beside its score.

    Raises:
        OptionError: a value that it cannot have, or a model that cannot say what is asked.
    """
    if target_accuracy is not None and not 0.5 <= target_accuracy <= 1:
        raise OptionError("target_accuracy is out of range", expected="0.5 to 1", got=repr(target_accuracy))
    return Caveats.of(loaded, target_accuracy, unusual)


def check_listed(**counts: int) -> None:
    """Refuses a number of words or phrases that cannot be, by the name of the argument.

    Raises:
        OptionError: it is negative, or no integer.
    """
    for name, count in counts.items():
        if not isinstance(count, int) or count < 0:
            of = "words" if name == "top_k" else "phrases"
            raise OptionError(f"{name} is not a number of {of}", expected="0 or more", got=repr(count))
