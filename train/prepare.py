"""Labelled reviews -> the data that a network is fitted to: a vocabulary, and both sides of the split as ids."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.models.tokenizer import Tokenizer, build_vocabulary, words
from train.data import Examples, Ids
from train.keras_files import FIRST_RANK, RankedReviews, to_ids, vocabulary_of, with_unused
from train.sides import BY_HASH, check_split, split_of


@dataclass(frozen=True)
class Encoded:
    """N reviews as a network reads them: their ids, labels int8[N], and n_tokens int64[N], the words in each."""

    ids: Sequence[Ids]
    labels: npt.NDArray[np.int8]
    n_tokens: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Prepared:
    """Everything that fitting needs.

    Args:
        vocabulary: the token of each of the V ids.
        counts: int64[V], how often each id occurs in the complete training reviews.
        max_words: maximum number of words of a review that are read.
        fingerprint: sha256 of the labelled data, both sides of the split together.
        unlabelled: texts without labels, as ids.
        split_by: the rule that made the two sides.
        labelling: column, rule and balance of the labels, as a model's manifest keeps them; None where not known.
    """

    vocabulary: Sequence[str]
    counts: npt.NDArray[np.int64]
    max_words: int
    training: Encoded
    validation: Encoded
    fingerprint: str
    unlabelled: Sequence[Ids] = ()
    split_by: str = BY_HASH
    labelling: Mapping[str, Any] | None = None

    def digest(self) -> str:
        """sha256 of everything that training reads: the labelled data, the texts without labels, the vocabulary."""
        sha256 = hashlib.sha256(self.fingerprint.encode())
        sha256.update("\n".join(self.vocabulary).encode())
        for ids in self.unlabelled:
            sha256.update(ids.tobytes())
        return sha256.hexdigest()

    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of ids of each review before truncation, the start mark included: int64[N]."""
        return 1 + np.concatenate([self.training.n_tokens, self.validation.n_tokens])


def from_texts(
    examples: Examples,
    validation_share: float,
    id_count: int,
    max_words: int,
    max_ids: int,
    as_keras: bool = False,
    unlabelled: Sequence[str] = (),
) -> Prepared:
    """Splits labelled texts, ranks the words of the training side, and encodes both.

    Args:
        id_count: maximum of V; with fewer different words there are fewer ids.
        as_keras: whether the word of rank r (from 1) gets the id r + 3, as in Keras' data, rather than r + 2.
        unlabelled: additional texts, which count for the ranks and are pre-trained on.
    """
    split = split_of(examples.ids, examples.labels, validation_share)
    check_split(split, examples.ids, examples.labels, validation_share)
    training, validation = examples.subset(~split.held_out), examples.subset(split.held_out)
    vocabulary, counts = build_vocabulary([*training.texts, *unlabelled], id_count - as_keras)
    if as_keras:
        vocabulary, counts = with_unused(vocabulary), np.insert(counts, FIRST_RANK, 0)
    tokenizer = Tokenizer(vocabulary, max_words, max_ids)

    def encode(side: Examples) -> Encoded:
        ids, n_tokens = [], []
        for text in side.texts:
            tokens = words(text)
            ids.append(tokenizer.ids(tokens))
            n_tokens.append(len(tokens))
        return Encoded(ids, side.labels, np.array(n_tokens, np.int64))

    more = [tokenizer.ids(tokens) for tokens in map(words, unlabelled) if tokens]
    return Prepared(
        vocabulary, counts, max_words, encode(training), encode(validation), examples.fingerprint(), more,
        split.by, examples.labelling,
    )  # fmt: skip


def from_ranks(
    reviews: RankedReviews, validation_share: float, id_count: int, max_words: int, max_ids: int
) -> Prepared:
    """Splits and encodes Keras' own data, numbered as by `keras.datasets.imdb.load_data(num_words=id_count)`."""
    highest = max(*reviews.word_index.values(), *(int(ranks.max(initial=0)) for ranks in reviews.ranks))
    id_count = min(id_count, FIRST_RANK + highest + 1)
    encoded = [to_ids(ranks, id_count) for ranks in reviews.ranks]
    digests = reviews.digests()
    split = split_of(digests, reviews.labels, validation_share)
    check_split(split, digests, reviews.labels, validation_share)
    validation = split.held_out

    def side(chosen: npt.NDArray[np.bool_]) -> Encoded:
        rows = np.flatnonzero(chosen)
        n_tokens = np.array([len(encoded[i]) - 1 for i in rows], np.int64)
        return Encoded([encoded[i][-max_ids:] for i in rows], reviews.labels[rows], n_tokens)

    counts = np.bincount(np.concatenate([encoded[i] for i in np.flatnonzero(~validation)]), minlength=id_count)
    vocabulary = vocabulary_of(reviews.word_index, id_count)
    return Prepared(
        vocabulary, counts, max_words, side(~validation), side(validation), reviews.fingerprint(), (), split.by,
        reviews.labelling(),
    )  # fmt: skip
