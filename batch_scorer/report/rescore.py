"""The reviews of a report, scored again by the run's model: what each word adds, and what deleting a part changes.

A page shows at most a few hundred reviews, and of each, at most `PARTS` parts are deleted, one at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

from batch_scorer.config import FLOAT32
from batch_scorer.errors import InputError, OptionError
from batch_scorer.escape import counted
from batch_scorer.models import artifact, artifact_files
from batch_scorer.report.budget import PHRASES
from batch_scorer.report.findings import ListedPhrase, ListedWord, Measured, Review
from batch_scorer.runs.finished import Run
from batch_scorer.runs.layout import MANIFEST
from batch_scorer.schema import Segments
from batch_scorer.scoring.chunk import Scorer, score_chunk
from batch_scorer.scoring.deletions import left_over, probabilities
from batch_scorer.scoring.read import read_texts
from batch_scorer.storage import join

PARTS = 40  # of a review, at most, those with the largest contributions
SENTENCES = 10  # of a review, at most
WORDS = 100_000  # read of a review without its parts, in all, but for the first of them
CHARACTERS = 200_000  # of a review that is scored again

_AT_ONCE = 64  # reviews whose every word is kept at a time
_MODEL = "--model"
_COLUMNS = ("probability", "logit", "n_tokens", "n_tokens_used", "top_contributing", "sentences", "top_spans")

_CHANGED = (
    "Scored again, this text has another score than in the run. It has changed since: nothing was measured, and only "
    "the listed words are coloured."
)
_TOO_LONG = f"This text has more than {CHARACTERS:,} characters, and was not scored again."

Place = tuple[int, int]


def check_model(run: Run, model: str | None) -> None:
    """Refuses a model that did not score the run.

    Args:
        model: its directory; None for the shipped one.

    Raises:
        OptionError: it is another one.
        ArtifactError: there is none.
    """
    expected, name = run.manifest["model_id"], run.manifest["model_name"]
    model_id = artifact_files.model_id(model or artifact.SHIPPED)[:12]
    if model_id == expected:
        return
    command = run.manifest["command"]
    given = [value for option, value in pairwise(command) if option == _MODEL]
    directory = given[-1] if given else "DIR"
    raise OptionError(
        "the run was scored by another model" if model else "the run was not scored by the shipped model",
        where=f"{_MODEL} {model}" if model else join(run.output, MANIFEST),
        expected=f"model {expected} ({name})",
        got=f"model {model_id}",
        fix=f"give the directory of the run's model: --rescore {_MODEL} {directory}; or leave --rescore out",
    )


def rescore(run: Run, reviews: Sequence[Review], model: str | None) -> tuple[tuple[Review, ...], str]:
    """Scores the reviews that have a text again, and deletes their parts.

    A review whose text gives another logit than its row is left as it is, and says so.

    Args:
        reviews: with their whole texts, up to `CHARACTERS` and one.
        model: as `check_model` accepts it.

    Returns:
        The reviews, and a sentence or two on what was done.

    Raises:
        InputError: no text was found.
        EngineError: the model fails on every text.
    """
    found = [at for at, review in enumerate(reviews) if review.text is not None]
    if not found:
        if reviews:
            raise InputError(
                "there is no text to score again",
                where="--rescore",
                expected="the texts that were scored",
                got=f"none for any of the {counted(len(reviews), 'review')} of the page",
                fix="give --text-from the inputs as they were scored, or leave --rescore out",
            )
        return (), "No review was scored, and so none was scored again."
    from batch_scorer.models.engine import PROBE_TOLERANCES, load_engine  # which import TensorFlow

    precision = str(run.plan.get("precision", FLOAT32))
    loaded = artifact.load(model or artifact.SHIPPED)
    scorer = Scorer(loaded, load_engine(loaded, precision))
    short = [at for at in found if len(reviews[at].text or "") <= CHARACTERS]
    done, rows = list(reviews), dict[int, dict[str, Any]]()
    for at, row in _rows([(at, reviews[at].text or "") for at in short], scorer):
        review = reviews[at]
        is_same = abs(row["logit"] - review.logit) <= PROBE_TOLERANCES[precision]
        if is_same and row["n_tokens"] == review.n_tokens:
            rows[at] = row
            done[at] = replace(review, phrases=review.phrases or _segments(row["top_spans"][:PHRASES]))
    deleted = {at: _parts(done[at], row) for at, row in rows.items()}
    left = probabilities(
        (left_over(done[at].text or "", [place]) for at, places in deleted.items() for place in places), scorer
    )
    number = 0
    for at, places in deleted.items():
        row = rows[at]
        changes = {place: left[i] - row["probability"] if i in left else None for i, place in enumerate(places, number)}
        number += len(places)
        words = sorted((w["char_start"], w["char_end"], w["contribution"]) for w in row["top_contributing"])
        done[at] = replace(done[at], measured=Measured(tuple(words), changes, _sentences(row)))
    for at in set(found) - rows.keys():
        done[at] = replace(reviews[at], not_measured=_CHANGED if at in set(short) else _TOO_LONG)
    return tuple(done), _said(len(rows), number, len(short) - len(rows), len(found) - len(short))


def _rows(texts: Sequence[tuple[int, str]], scorer: Scorer) -> Iterator[tuple[int, dict[str, Any]]]:
    """The row of each text, by its number, with all words that are read; one that the model rejects has none."""
    remaining = iter(texts)
    while group := list(islice(remaining, _AT_ONCE)):
        for chunk in read_texts(text for _, text in group):
            most = max((len(text) for text in chunk.texts), default=1)  # no text has more words than characters
            for explained in score_chunk(chunk, scorer, most, segments=Segments(sentences=True, spans=PHRASES)):
                columns = explained.columns(scorer.artifact)
                values = zip(*(columns[name].to_pylist() for name in _COLUMNS), strict=True)
                for i, row in zip(explained.encoded.reviews["offset"].to_pylist(), values, strict=True):
                    yield group[i][0], dict(zip(_COLUMNS, row, strict=True))


def _parts(review: Review, row: Mapping[str, Any]) -> list[Place]:
    """What to delete of a review, each once: as many parts as there is room for, largest contributions first."""
    listed: list[ListedWord | ListedPhrase] = [*review.words, *review.phrases, *_sentences(row)]
    listed.sort(key=lambda one: -abs(one.contribution))
    places = dict.fromkeys((one.char_start, one.char_end) for one in listed)
    return list(places)[: max(1, min(PARTS, WORDS // row["n_tokens_used"]))]


def _sentences(row: Mapping[str, Any]) -> tuple[ListedPhrase, ...]:
    return _segments(sorted(row["sentences"], key=lambda one: -abs(one["contribution"]))[:SENTENCES])


def _segments(listed: Sequence[Mapping[str, Any]]) -> tuple[ListedPhrase, ...]:
    names = ("char_start", "char_end", "position", "n_words", "contribution")
    return tuple(ListedPhrase(*(one[name] for name in names)) for one in listed)


def _said(measured: int, passes: int, changed: int, too_long: int) -> str:
    said = f"{counted(measured, 'review')} scored again, and {counted(passes, 'time')} without one of the parts listed."
    if changed:
        said += f" {counted(changed, 'text')} {'has' if changed == 1 else 'have'} changed since the run."
    if too_long:
        said += f" {counted(too_long, 'text')} {'is' if too_long == 1 else 'are'} too long for it."
    return said
