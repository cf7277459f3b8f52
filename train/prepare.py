"""Labelled reviews -> the data that a network is fitted to: a vocabulary, and both sides of the split as ids."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.models.subwords import SubwordTokenizer
from batch_scorer.models.tokenizer import START, Tokenizer, has_words, words
from batch_scorer.models.windows import Windows
from train.data import Examples, Ids
from train.keras_files import FIRST_RANK, RankedReviews, to_ids, vocabulary_of
from train.material.word_classes import WordClass
from train.reading import Reading, shared_counts, tokenizer_from, words_of
from train.sides import BY_HASH, check_split, split_of

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Encoded:
    """N reviews as a network reads them: in M windows, of which most reviews have one.

    Args:
        windows: what is read of the reviews.
        labels: int8[N].
        n_tokens: int64[N], the words in each review.
    """

    windows: Windows
    labels: npt.NDArray[np.int8]
    n_tokens: npt.NDArray[np.int64]

    @staticmethod
    def one_each(ids: Sequence[Ids], labels: npt.NDArray[np.int8], n_tokens: npt.NDArray[np.int64]) -> Encoded:
        """Reviews of which one window is read, int32[n] each."""
        n_words = np.array([np.count_nonzero(review != START) for review in ids], np.int64)
        return Encoded(Windows(list(ids), np.arange(len(ids)), n_words, len(ids)), labels, n_tokens)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def ids(self) -> Sequence[Ids]:
        """int32[n] of each of the M windows."""
        return self.windows.ids

    @property
    def n_read(self) -> npt.NDArray[np.int64]:
        """Words that are read of each review: int64[N]."""
        return self.windows.words_read

    @property
    def n_ids(self) -> npt.NDArray[np.int64]:
        """Ids that are read of each review: int64[N]; as many as words, unless ids are of pieces."""
        return self.windows.ids_read

    @property
    def oov_rate(self) -> Doubles:
        """The share of the ids that are read which stand for something unknown: float64[N]."""
        return np.asarray(self.windows.unknown_ids / np.maximum(self.n_ids, 1))

    def subset(self, chosen: npt.NDArray[np.bool_]) -> Encoded:
        """The reviews where `chosen` (bool[N]) is true."""
        return Encoded(self.windows.rows(chosen), self.labels[chosen], self.n_tokens[chosen])

    def pooled(self, values: npt.NDArray[np.floating]) -> Doubles:
        """The mean over the windows of each review: [M] -> float64[N]."""
        return self.windows.pool(np.asarray(values, np.float64))

    def count(self, wanted: int) -> npt.NDArray[np.int64]:
        """How often an id occurs in each review: int64[N]."""
        hits = np.array([np.count_nonzero(ids == wanted) for ids in self.ids])
        return np.bincount(self.windows.review, hits, len(self)).astype(np.int64)


@dataclass(frozen=True)
class Prepared:
    """Everything that fitting needs.

    Args:
        tokenizer: with the token of each of the V ids.
        counts: int64[V], how often each id occurs in the complete training reviews, before words share ids.
        fingerprint: sha256 of the labelled data, both sides of the split together.
        texts: of the training and the validation reviews; empty where only their words are known.
        unlabelled: texts without labels.
        ties: the classes of words that share an id.
        split_by: the rule that made the two sides.
        labelling: column, rule and balance of the labels, as a model's manifest keeps them; None where not known.
        validation_ids: what identifies the validation reviews; empty where they have no ids.
    """

    tokenizer: Tokenizer
    counts: npt.NDArray[np.int64]
    training: Encoded
    validation: Encoded
    fingerprint: str
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unlabelled: Sequence[str] = ()
    ties: Sequence[WordClass] = ()
    split_by: str = BY_HASH
    labelling: Mapping[str, Any] | None = None
    validation_ids: Sequence[str] = ()

    @property
    def vocabulary(self) -> Sequence[str]:
        return self.tokenizer.vocabulary

    @property
    def words(self) -> Sequence[str]:
        """The word that each id stands for by itself; where ids are of pieces, empty for those that begin no word."""
        return words_of(self.tokenizer)

    @property
    def shared_counts(self) -> npt.NDArray[np.int64]:
        """How often each id occurs, words that share one taken together: int64[V]."""
        texts = [*self.texts.get("training", ()), *self.unlabelled]
        return shared_counts(self.tokenizer, self.counts, texts)

    def digest(self) -> str:
        """sha256 of everything that training reads: the labelled data, the texts without labels, how words are read."""
        sha256 = hashlib.sha256(self.fingerprint.encode())
        sha256.update("\n".join(self.vocabulary).encode())
        for text in self.unlabelled:
            sha256.update(text.encode("utf-8", "surrogatepass"))
        tokenizer = self.tokenizer
        sha256.update(repr((sorted(tokenizer.aliases.items()), tokenizer.pattern, tokenizer.max_windows)).encode())
        if isinstance(tokenizer, SubwordTokenizer):
            sha256.update(repr(tokenizer.scores).encode())
        return sha256.hexdigest()

    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of ids of each review before truncation, the start mark included: int64[N]."""
        return 1 + np.concatenate([self.training.n_tokens, self.validation.n_tokens])

    def terms(self, text: str) -> Sequence[str]:
        """What a classifier of n-grams counts of a text: its words, or their pieces where ids are of pieces."""
        tokenizer = self.tokenizer
        if not isinstance(tokenizer, SubwordTokenizer):
            return words(text)
        return [tokenizer.vocabulary[i] for word in tokenizer.words(text) for i in tokenizer.pieces(word)]

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Texts of which only the last window is read, as ids."""
        return [self.tokenizer.ids(self.tokenizer.words(text)) for text in texts]


def from_texts(
    examples: Examples,
    validation_share: float,
    id_count: int,
    reading: Reading,
    as_keras: bool = False,
    unlabelled: Sequence[str] = (),
    left_out: npt.NDArray[np.bool_] | None = None,
) -> Prepared:
    """Splits labelled texts, ranks the words of the training side, and encodes both.

    Args:
        id_count: maximum of V; with fewer different words there are fewer ids.
        as_keras: whether the word of rank r (from 1) gets the id r + 3, as in Keras' data, rather than r + 2.
        unlabelled: additional texts, which count for the ranks and are pre-trained on.
        left_out: bool[N], examples of the training side that are not trained on. Their words count for the ranks.
    """
    split = examples.split(validation_share)
    check_split(split, examples.ids, examples.labels, validation_share)
    training, validation = examples.subset(~split.held_out), examples.subset(split.held_out)
    tokenizer, counts = tokenizer_from([*training.texts, *unlabelled], id_count, reading, as_keras)
    if left_out is not None:
        training = training.subset(~left_out[~split.held_out])
    return Prepared(
        tokenizer,
        counts,
        encoded(training, tokenizer),
        encoded(validation, tokenizer),
        examples.fingerprint(),
        {"training": training.texts, "validation": validation.texts},
        [text for text in unlabelled if has_words(text)],
        reading.ties,
        split.by,
        examples.labelling,
        validation.ids,
    )


def encoded(examples: Examples, tokenizer: Tokenizer) -> Encoded:
    """Reviews as the windows that are read of them."""
    tokens = [tokenizer.words(text) for text in examples.texts]
    n_tokens = np.array([len(review) for review in tokens], np.int64)
    return Encoded(Windows.of(tokenizer, tokens), examples.labels, n_tokens)


def from_ranks(
    reviews: RankedReviews, validation_share: float, id_count: int, max_words: int, max_ids: int
) -> Prepared:
    """Splits and encodes Keras' own data, numbered as by `keras.datasets.imdb.load_data(num_words=id_count)`."""
    highest = max(*reviews.word_index.values(), *(int(ranks.max(initial=0)) for ranks in reviews.ranks))
    id_count = min(id_count, FIRST_RANK + highest + 1)
    ids = [to_ids(ranks, id_count) for ranks in reviews.ranks]
    digests = reviews.digests()
    split = split_of(digests, reviews.labels, validation_share)
    check_split(split, digests, reviews.labels, validation_share)
    validation = split.held_out

    def side(chosen: npt.NDArray[np.bool_]) -> Encoded:
        rows = np.flatnonzero(chosen)
        n_tokens = np.array([len(ids[i]) - 1 for i in rows], np.int64)
        return Encoded.one_each([ids[i][-max_ids:] for i in rows], reviews.labels[rows], n_tokens)

    counts = np.bincount(np.concatenate([ids[i] for i in np.flatnonzero(~validation)]), minlength=id_count)
    tokenizer = Tokenizer(vocabulary_of(reviews.word_index, id_count), max_words, max_ids)
    sides = side(~validation), side(validation)
    return Prepared(tokenizer, counts, *sides, reviews.fingerprint(), split_by=split.by, labelling=reviews.labelling())
