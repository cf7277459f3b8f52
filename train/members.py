"""What the members of a teacher say of texts: networks, and NBSVM.

Shapes: N training reviews, U texts without labels, C crops of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch_scorer.models.network import Floats
from batch_scorer.models.tokenizer import words
from train.data import Ids
from train.material.crops import crops
from train.material.mixture import crops_of
from train.prepare import Prepared

Doubles = npt.NDArray[np.float64]
Logits = dict[str, Doubles]  # of one member, by the fields of `Texts`

CROPS_OF_VALIDATION = 4  # draws from each review


@dataclass(frozen=True)
class Texts:
    """What the members label: the training reviews, the texts without labels, and what their weights are fitted to."""

    training: Sequence[str]
    unlabelled: Sequence[str]
    crops: Sequence[str]
    validation: Sequence[str]
    validation_crops: Sequence[str]

    @staticmethod
    def of(data: Prepared) -> tuple[Texts, npt.NDArray[np.int64]]:
        """The texts, and the validation review that each of its crops is of."""
        validation = data.texts["validation"]
        drawn = [crops(validation, seed=1 + draw) for draw in range(CROPS_OF_VALIDATION)]
        cropped, rows = [t for texts, _ in drawn for t in texts], [row for _, rows in drawn for row in rows]
        return Texts(data.texts["training"], data.unlabelled, crops_of(data), validation, cropped), np.array(rows)


def logits_of(predict: Callable[[Sequence[Ids]], Floats], data: Prepared, texts: Texts) -> Logits:
    """The logits of a network for all texts but the training reviews."""
    out = {"validation": data.validation.pooled(predict(data.validation.ids))}
    others = {name: data.encode(getattr(texts, name)) for name in ("unlabelled", "crops", "validation_crops")}
    return out | {name: predict(ids).astype(np.float64) for name, ids in others.items()}


def linear(
    fold_of: npt.NDArray[np.int64], labels: npt.NDArray[np.int8], texts: Texts,
    terms: Callable[[str], Sequence[str]] = words,
) -> Logits:  # fmt: skip
    """NBSVM's logits: of training reviews out of fold, of the other texts from a model fitted to all of them."""
    from train.nbsvm import Settings, counter_of, weights_of

    settings = Settings()
    counter = counter_of(settings.longest, terms)
    counts = counter.fit_transform(texts.training)
    out: Logits = {"training": np.empty(len(texts.training))}
    for fold in range(int(fold_of.max(initial=0)) + 1):
        inside = fold_of == fold
        weight, bias = weights_of(counts[~inside], labels[~inside], settings)
        out["training"][inside] = counts[inside] @ weight + bias
    weight, bias = weights_of(counts, labels, settings)
    for name in ("unlabelled", "crops", "validation", "validation_crops"):
        out[name] = counter.transform(getattr(texts, name)) @ weight + bias
    return out
