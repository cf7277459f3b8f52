"""What there is to know of labelled reviews before a training starts: how many, how balanced, how long, how repetitive.

A held-out review that repeats one to train on is known to the network already, so that it flatters the validation
figures. Which side a review is on depends on its id alone, so that it stays the same for ever; repeats are therefore
counted, and the figures are given without them too, instead of moving any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch_scorer.escape import counted
from batch_scorer.models.tokenizer import OOV
from train.duplicates import Duplicates, Numbers, find_duplicates, numbered
from train.fit import Fitted
from train.metrics import metrics
from train.prepare import Encoded, Prepared
from train.sides import GIVEN, IN_TURN

_LABEL = 12  # characters of the first column
_HELD_OUT = {GIVEN: "given for validation", IN_TURN: "held out in turn"}
_MIDDLE = (0.05, 0.5, 0.95)  # quantiles of the length


@dataclass(frozen=True)
class Overview:
    """Figures on N labelled reviews, those to train on before those held out.

    Args:
        training, validation, unlabelled: how many of each.
        held_out: how they are held out, in words.
        positive: share of positive ones among those to train on, and among those held out.
        lengths: words of a review: the 5 % quantile, the median, the 95 % quantile, the maximum.
        words_read: the most words of a review that are read.
        longer: reviews that have more.
        ids: size of the vocabulary.
        unknown: share of the held-out words that are not in it.
        repeated: reviews with the words of an earlier one.
        contradictory: reviews with the words of another that has the other label.
        near: reviews that nearly repeat an earlier one; those in `repeated` do not count.
        seen_exactly: held-out reviews with the words of one to train on.
        seen: bool[validation], held-out reviews that repeat one to train on, nearly or word for word.
        in_turn: whether those held out are trained on too, by other networks.
        from_ids: whether reviews were compared by the ids that are read, since only these are known.
    """

    training: int
    validation: int
    unlabelled: int
    held_out: str
    positive: tuple[float, float]
    lengths: tuple[int, int, int, int]
    words_read: int
    longer: int
    ids: int
    unknown: float
    repeated: int
    contradictory: int
    near: int
    seen_exactly: int
    seen: npt.NDArray[np.bool_]
    in_turn: bool = False
    from_ids: bool = False

    def lines(self) -> list[str]:
        """What to say before training starts: aligned, at most 80 characters each."""
        return [f"{name:{_LABEL}}{text}" for name, text in self.facts()]

    def facts(self) -> Iterator[tuple[str, str]]:
        """Pairs of a name and a sentence; where the name is empty, the sentence goes on with the one before it."""
        others = "of them " if self.in_turn else ""
        yield "reviews", f"{self.training:,} to train on, {self.validation:,} {others}{self.held_out}"
        if self.unlabelled:
            yield "", f"{self.unlabelled:,} more to pre-train on, without labels"
        trained, held = self.positive
        shares = (
            f"{trained:.1%}" if self.in_turn else f"{trained:.1%} of those to train on, {held:.1%} of those held out"
        )
        yield "positive", shares
        low, median, high, longest = self.lengths
        yield "words", f"median {median:,}; nine of ten have {low:,} to {high:,}; at most {longest:,}"
        if self.longer:
            yield "", f"{counted(self.longer, 'review')} not read whole: longer than {self.words_read:,} words"
        yield "vocabulary", f"{self.ids:,} ids; {self.unknown:.1%} of the words held out are unknown"
        if self.repeated or self.near:
            other = f"; {self.contradictory:,} contradict each other's labels" if self.contradictory else ""
            yield "repeated", f"{self.repeated:,} word for word{other}"
            if self.near:
                yield "", f"{self.near:,} nearly: they share half of their runs of three words"
        else:
            yield "repeated", "none, not even nearly"
        seen = int(self.seen.sum())
        if seen:
            repeat = "review repeats" if seen == 1 else "reviews repeat"
            yield "both sides", f"{seen:,} held-out {repeat} one to train on, {self.seen_exactly:,} word for word"

    def without_repeats(self, fitted: Fitted, validation: Encoded) -> dict[str, float] | None:
        """What `metrics` says of the held-out reviews that repeat none to train on.

        None where that are all, or so few that one of the labels is missing.
        """
        kept = ~self.seen
        labels = validation.labels[kept]
        if kept.all() or len(set(labels.tolist())) != 2:
            return None
        return metrics(fitted.validation_logits[kept] / fitted.temperatures(validation)[kept], labels, 1.0)


def overview(data: Prepared) -> Overview:
    """Measures the reviews of both sides. Where only their ids are known, they are compared by those that are read."""
    in_turn = data.split_by == IN_TURN
    tokenizer, sides = data.tokenizer, (data.training,) if in_turn else (data.training, data.validation)
    n_tokens = np.concatenate([side.n_tokens for side in sides])
    found = find_duplicates(_numbers(data, ("training",) if in_turn else ("training", "validation")))
    labels = np.concatenate([side.labels for side in sides])
    trained = np.arange(len(labels)) < len(data.training)
    low, median, high = (round(n) for n in np.quantile(n_tokens, _MIDDLE).tolist())
    words_read = tokenizer.max_words * tokenizer.max_windows
    n_read = np.concatenate([side.n_read for side in sides])
    place = np.arange(len(labels))
    none = np.zeros(len(data.validation), np.bool_)
    return Overview(
        training=len(data.training),
        validation=len(data.validation),
        unlabelled=len(data.unlabelled),
        held_out=_HELD_OUT.get(data.split_by, f"held out by {data.split_by}"),
        positive=(float(data.training.labels.mean()), float(data.validation.labels.mean())),
        lengths=(low, median, high, int(n_tokens.max())),
        words_read=words_read,
        longer=int((n_tokens > n_read).sum()),
        ids=len(data.vocabulary),
        unknown=int(data.validation.count(OOV).sum()) / max(int(data.validation.n_ids.sum()), 1),
        repeated=int((found.same != place).sum()),
        contradictory=_contradictory(found, labels),
        near=int(((found.near != place) & (found.same == place)).sum()),
        seen_exactly=int(np.isin(found.same[~trained], found.same[trained]).sum()),
        seen=none if in_turn else np.isin(found.near[~trained], found.near[trained]),
        in_turn=in_turn,
        from_ids=not data.texts,
    )


def _numbers(data: Prepared, sides: Sequence[str]) -> list[Numbers]:
    if data.texts:
        return numbered([text for side in sides for text in data.texts[side]])
    return [ids.astype(np.uint32) for side in (data.training, data.validation) for ids in side.ids]


def _contradictory(found: Duplicates, labels: npt.NDArray[np.int8]) -> int:
    """How many of N reviews have the words of another one with the other label."""
    positive = np.bincount(found.same, labels, len(labels))[found.same]
    of_a_kind = np.bincount(found.same, minlength=len(labels))[found.same]
    return int(((positive > 0) & (positive < of_a_kind)).sum())
