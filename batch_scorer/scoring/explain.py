"""Explain: attention and contributions -> the words behind each score, with their places in the text.

The split is exact: ``logit = bias + sum(top_contributing.contribution) + rest_contribution``, and likewise by sentences
and phrases where `segments` are asked for. Of a review that is read
in windows, each number is the mean over its windows, weighted by their ids; a word is in one window only, and has the
sum of its ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import probability
from batch_scorer.models.units import Places
from batch_scorer.schema import TOKEN, WORDS_ONLY, Rejection, Segments
from batch_scorer.scoring.caveats import NO_CAVEATS, Caveats
from batch_scorer.scoring.encode import Encoded
from batch_scorer.scoring.score import Scored, joined
from batch_scorer.scoring.segments import WordValues
from batch_scorer.scoring.top_words import TopLists, TopWords

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Explained:
    """N reviews, scored and explained, in the order of the input.

    Args:
        encoded: the reviews that were scored.
        logit: float32[N].
        top_attended, top_contributing: N lists of `schema.TOKEN`, best first.
        rest_contribution: float32[N], what everything adds that is not in `top_contributing`.
        rejected: all records of the chunk that were not scored, whichever stage rejected them.
        segments: the columns of sentences and phrases that were asked for, N values each.
    """

    encoded: Encoded
    logit: Floats
    top_attended: pa.ListArray
    top_contributing: pa.ListArray
    rest_contribution: Floats
    rejected: list[Rejection]
    segments: Mapping[str, pa.Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.logit)

    def columns(self, artifact: Artifact, caveats: Caveats = NO_CAVEATS) -> dict[str, pa.Array]:
        """The columns of `predictions` that follow from text and model alone, in the order of the contract.

        Args:
            artifact: the model that scored them.
            caveats: what else to say of each.

        Returns:
            Name -> N values, from `probability` to `rest_contribution`, `temperature` where it depends on the review,
            those of sentences and phrases where they were asked for, those of `caveats`, and `model_id`.
        """
        n_tokens, used = self.encoded.n_tokens, self.encoded.n_tokens_used
        oov_rate = (self.encoded.oov_ids / self.encoded.n_ids).astype(np.float32)
        temperature = artifact.temperatures(self.encoded.n_ids, oov_rate)
        p = probability(self.logit, temperature)
        # Compared in double precision, as a reader of the file would compare it.
        positive = p.astype(np.float64) >= artifact.threshold
        by_review = {} if artifact.calibration is None else {"temperature": pa.array(temperature.astype(np.float32))}
        return {
            "probability": pa.array(p),
            "logit": pa.array(self.logit),
            "predicted_label": pa.array(np.where(positive, "positive", "negative"), pa.string()),
            "n_tokens": pa.array(n_tokens),
            "n_tokens_used": pa.array(used),
            "truncated": pa.array(n_tokens > used),
            "oov_rate": pa.array(oov_rate),
            "top_attended": self.top_attended,
            "top_contributing": self.top_contributing,
            "rest_contribution": pa.array(self.rest_contribution),
            **by_review,
            **self.segments,
            **caveats.columns(self.encoded, p),
            "model_id": pa.repeat(pa.scalar(artifact.model_id), len(self)),
        }


def explain(scored: Scored, top_k: int, segments: Segments = WORDS_ONLY) -> Explained:
    """Explains a piece of a chunk; its batches are scored on the way, and only what is listed of each is kept.

    Args:
        top_k: words in each list at most; 0 lists none.
        segments: what else to list. If anything, one number more is kept of each word, and its attention.

    Raises:
        EngineError: as in `score.score_ids`.
    """
    lists, rejected = TopLists(scored.encoded, top_k), [*scored.encoded.rejected]
    words = WordValues(scored.encoded) if segments.columns else None
    for batch in joined(scored.batches):
        if isinstance(batch, Rejection):
            rejected.append(batch)
            continue
        lists.add(batch)
        if words:
            words.add(batch)
    done, found = lists.done(), lists.by_review()
    encoded = scored.encoded.rows(done)
    places = _places(encoded) if lists.top_k or words else []
    all_places = _AllPlaces.of(places) if lists.top_k and places else None
    return Explained(
        encoded,
        found.logit[done].astype(np.float32),
        _tokens(encoded, found.attended.rows(done), all_places),
        _tokens(encoded, found.contributing.rows(done), all_places),
        found.rest[done].astype(np.float32),
        rejected,
        words.columns(done, encoded, places, segments) if words else {},
    )


def _places(encoded: Encoded) -> list[Places]:
    """Where the words of each text start and end."""
    return [
        encoded.tokenizer.spans(text) if known is None else known
        for text, known in zip(encoded.texts, encoded.places, strict=True)
    ]


class _AllPlaces(NamedTuple):
    """Where all words of N texts start and end, [W] each, and the number of the first one of each text: [N]."""

    starts: Ints
    ends: Ints
    first: npt.NDArray[np.int64]

    @staticmethod
    def of(places: list[Places]) -> _AllPlaces:
        n_words = np.array([len(start) for start, _ in places])
        starts, ends = (np.concatenate(edges) for edges in zip(*places, strict=True))
        return _AllPlaces(starts, ends, np.cumsum(n_words) - n_words)


def _tokens(encoded: Encoded, top: TopWords, places: _AllPlaces | None) -> pa.ListArray:
    """The words of `top` as N lists of `schema.TOKEN`.

    Args:
        places: None is enough where K or N is 0.
    """
    top_k = top.place.shape[1]
    used = np.minimum(encoded.n_tokens_used, top_k)
    listed = np.arange(top_k) < used[:, None]  # [N, K]
    positions = encoded.n_seen[:, None] - top.place
    tokens, starts, ends = list[str](), np.zeros(0, np.int32), np.zeros(0, np.int32)
    if places:
        # By column: of short texts, a step for each costs more than what it does.
        at = (places.first[:, None] + positions)[listed]
        starts, ends = places.starts[at], places.ends[at]
        texts = chain.from_iterable(map(repeat, encoded.texts, used.tolist()))
        tokens = [text[a:b].lower() for text, a, b in zip(texts, starts.tolist(), ends.tolist(), strict=True)]
    fields = [
        pa.array(tokens, pa.string()),
        pa.array(positions[listed].astype(np.int32)),
        pa.array(starts),
        pa.array(ends),
        pa.array(top.attention[listed]),
        pa.array(top.contribution[listed].astype(np.float32)),
    ]
    offsets = np.concatenate([[0], np.cumsum(used)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.StructArray.from_arrays(fields, fields=list(TOKEN)))
