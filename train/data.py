"""Labelled reviews: read, split by a hash of their id, and grouped into batches of similar length."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.errors import InputError
from batch_scorer.escape import counted
from batch_scorer.formats.label_rule import LabelRule
from batch_scorer.formats.labels import Labels
from batch_scorer.models.tokenizer import PAD
from train.sides import GIVEN, Split, split_of
from train.sources import Account, ReadOptions, labelled, unlabelled

Ids = npt.NDArray[np.int32]


Say = Callable[[str], None]  # gets a sentence for the user


def say_nothing(_: str) -> None:
    """For callers that do not want to know."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns that hold text, label and id, and what the labels mean.

    Args:
        positive, negative: values and ranges of labels that mean so, as `LabelRule.of` takes them; without any, the
            labels have to be plain, such as 1 and 0.
        id: None takes a hash of the text for the id.
    """

    text: str = "text"
    label: str = "label"
    positive: tuple[str, ...] = ()
    id: str | None = None
    negative: tuple[str, ...] = ()

    @property
    def rule(self) -> LabelRule:
        """What the labels mean.

        Raises:
            OptionError: the options contradict themselves.
        """
        return LabelRule.of(self.label, self.positive, self.negative)


@dataclass(frozen=True)
class Examples:
    """N labelled reviews.

    Args:
        ids: what identifies each.
        labels: int8[N], 1 for positive.
        labelling: where the labels come from, as a model's manifest keeps it; None where that is not known.
        left_out: how many records were left out in reading, by error code.
        given: bool[N], those that were given for validation; without any, they are split.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: npt.NDArray[np.int8]
    labelling: Mapping[str, Any] | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    given: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def subset(self, chosen: npt.NDArray[np.bool_]) -> Examples:
        """The examples where `chosen` (bool[N]) is true."""
        rows = np.flatnonzero(chosen)
        return Examples(tuple(self.ids[i] for i in rows), tuple(self.texts[i] for i in rows), self.labels[rows])

    def with_validation(self, others: Examples) -> Examples:
        """These examples to train on, and `others` to validate on."""
        given = np.arange(len(self) + len(others)) >= len(self)
        labels = np.concatenate([self.labels, others.labels])
        texts = self.texts + others.texts
        return Examples(self.ids + others.ids, texts, labels, self.labelling, self.left_out, given)

    def split(self, validation_share: float) -> Split:
        """The two sides: those given for validation and the rest, or as `sides.split_of` splits them."""
        if self.given is not None:
            return Split(self.given, GIVEN)
        return split_of(self.ids, self.labels, validation_share)

    def fingerprint(self) -> str:
        """sha256 of ids, texts and labels, independent of their order."""
        digests = sorted(
            hashlib.sha256(f"{i}\0{label}\0{text}".encode()).digest()
            for i, text, label in zip(self.ids, self.texts, self.labels, strict=True)
        )
        return hashlib.sha256(b"".join(digests)).hexdigest()


def read_examples(
    sources: Sequence[str], columns: Columns, options: ReadOptions | None = None, say: Say = say_nothing
) -> Examples:
    """Reads labelled reviews from everything that `score` reads, and from directories laid out like aclImdb.

    Reviews whose label is missing or means neither are left out, like the records that `score` would reject.

    Args:
        sources: files, directories and globs, or `imdb` for the training split of the Large Movie Review Dataset, which
            is downloaded.
        say: is told what is left out, and how the labels divide.

    Raises:
        InputError: a file or a column is missing, too many records are bad, or all reviews have the same label.
        OptionError: nothing says which labels mean positive.
    """
    options, rule, account = options or ReadOptions(), columns.rule, Account()
    reviews = [
        review
        for source in sources
        for review in labelled(source, columns.text, columns.id, columns.label, options, account)
    ]
    _settle(account, options, sources, say)
    told = rule.read(Counter(review.label for review in reviews if not isinstance(review.label, bool)))
    for remark in told.remarks:
        say(remark)
    labels = [review.label if isinstance(review.label, bool) else told.of(review.label) for review in reviews]
    kept = [(review, label) for review, label in zip(reviews, labels, strict=True) if label is not None]
    folders = Counter(review.label for review in reviews if isinstance(review.label, bool))
    if told.values or told.missing:
        say(told.sentence())
    if folders:
        say(f"labels by folder: {folders[True]:,} positive (pos/), {folders[False]:,} negative (neg/)")
    examples = Examples(
        tuple(review.id for review, _ in kept),
        tuple(review.text for review, _ in kept),
        np.array([label for _, label in kept], np.int8),
        _labelling(told, folders),
        account.left_out,
    )
    if not kept:
        raise InputError(
            "there are no labelled reviews",
            where=", ".join(sources),
            expected="reviews with a text and a label",
            got=f"{counted(account.records, 'record')}, {len(reviews):,} with a text, none of these with a label",
            fix="check --data, --text-column and --label-column",
        )
    positive = int(examples.labels.sum())
    if positive in (0, len(examples)):
        raise InputError(
            "all labelled reviews have the same label",
            where=", ".join(sources),
            expected="positive and negative ones",
            got=f"{positive:,} positive, {len(examples) - positive:,} negative",
            fix="name the column with --label-column, and what means positive with --positive-value",
        )
    return examples


def _settle(account: Account, options: ReadOptions, sources: Sequence[str], say: Say) -> None:
    """Refuses sources of which too much is left out, and says what is."""
    account.check(options, sources)
    for sentence in account.sentences():
        say(sentence)


def _labelling(told: Labels, folders: Mapping[bool, int]) -> dict[str, Any]:
    """Column, rule and balance; if there are folders, their counts are in the balance."""
    labelling = told.to_json()
    if folders and not told.values:
        labelling |= {"column": None, "positive": ["pos/"], "negative": ["neg/"]}
    counts = labelling["counts"]
    counts["positive"] += folders.get(True, 0)
    counts["negative"] += folders.get(False, 0)
    return labelling


def read_texts(
    sources: Sequence[str], columns: Columns, options: ReadOptions | None = None, say: Say = say_nothing
) -> list[str]:
    """Reads texts without labels from everything that `score` reads, and from `unsup/` in a directory like aclImdb.

    Raises:
        InputError: a file or the text column is missing, too many records are bad, or no source has a text.
    """
    options, account = options or ReadOptions(), Account()
    texts = [text for source in sources for text in unlabelled(source, columns.text, options, account)]
    _settle(account, options, sources, say)
    if sources and not texts:
        raise InputError(
            "no texts without labels were found",
            where=", ".join(sources),
            expected="rows with text, or a directory with unsup/*.txt",
            fix="check --unlabelled and --text-column",
        )
    return texts


def split(examples: Examples, validation_share: float) -> tuple[Examples, Examples]:
    """Splits examples into training and validation, as `Examples.split` does."""
    held = examples.split(validation_share).held_out
    return examples.subset(~held), examples.subset(held)


def pad(encoded: Sequence[Ids], width: int | None = None) -> Ids:
    """Stacks B sequences of ids into int32[B, T], padded on the left to the longest one or to `width`."""
    width = width or max(len(ids) for ids in encoded)
    out = np.full((len(encoded), width), PAD, np.int32)
    for row, ids in zip(out, encoded, strict=True):
        row[width - len(ids) :] = ids
    return out


def bucketed_batches(
    lengths: npt.NDArray[np.int64], batch_size: int, rng: np.random.Generator, pool_batches: int = 50
) -> Iterator[npt.NDArray[np.int64]]:
    """Yields the indices of each batch of an epoch: reviews of similar length share a batch, the order is random.

    Shuffled reviews are sorted by length within pools of `pool_batches` batches; then the batches are shuffled. So
    batches need little padding, and no two epochs see the same ones.
    """
    order = rng.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), pool_batches * batch_size):
        pool = order[start : start + pool_batches * batch_size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    yield from (batches[i] for i in rng.permutation(len(batches)))
