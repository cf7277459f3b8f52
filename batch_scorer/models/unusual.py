"""Texts unlike those that a model was trained on: what is usual, by its training profile, and why a text is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.errors import OptionError
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.profile import LENGTH_EDGES, OOV_SHARE, SHARE_EDGES, Profile
from batch_scorer.models.scripts import LATIN, SCRIPTS

SHORT, LONG, UNKNOWN_WORDS, OTHER_SCRIPT = REASONS = ("short", "long", "unknown words", "other script")
SEPARATOR = ","
RARE = 0.01  # the share of training reviews, or of their words, below which something counts as unusual

Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Usual:
    """What the texts of training were like, and so which texts are unusual.

    Args:
        fewest: words; a text with fewer is `short`.
        most: words; a text with more is `long`. None: none is.
        unknown: the share of unknown words from which on a text has too many; None: none has.
        scripts: those that are usual; a text a fifth of whose words are in others is in an `other script`.

    Example:
        >>> usual = Usual(5, 900, 0.2, ("Latin",))
        >>> none = np.zeros((3, len(SCRIPTS)), np.int32)
        >>> usual.reasons(np.array([3, 10, 901]), np.array([3, 10, 901]), np.array([2, 1, 0]), none)
        ['short,unknown words', '', 'long']
    """

    fewest: int
    most: int | None
    unknown: float | None
    scripts: tuple[str, ...]

    def reasons(
        self,
        n_tokens: npt.NDArray[np.integer],
        n_ids: npt.NDArray[np.integer],
        oov_ids: npt.NDArray[np.integer],
        scripts: npt.NDArray[np.integer],
    ) -> list[str]:
        """Why each of N texts is unusual: reasons with `SEPARATOR` between them, in the order of `REASONS`, or nothing.

        A single unknown word among others is no sign, however few these are.

        Args:
            n_tokens: [N], words of each.
            n_ids, oov_ids: [N], ids of the words that were read, and how many of these are unknown.
            scripts: [N, S], words in each of `scripts.SCRIPTS`, which are those other than Latin.
        """
        never = np.zeros(len(n_tokens), np.bool_)
        # As the row holds the share, so that a reader of the file finds the same.
        share = (oov_ids / np.maximum(n_ids, 1)).astype(np.float32)
        holds: dict[str, Booleans] = {
            SHORT: n_tokens < self.fewest,
            LONG: never if self.most is None else n_tokens > self.most,
            UNKNOWN_WORDS: never
            if self.unknown is None
            else (share >= np.float32(self.unknown)) & ((oov_ids >= 2) | (oov_ids == n_ids)),
            OTHER_SCRIPT: self._foreign(n_tokens, scripts) >= OOV_SHARE * np.maximum(n_tokens, 1),
        }
        rows = zip(*(holds[reason].tolist() for reason in REASONS), strict=True)
        return [SEPARATOR.join(name for name, is_so in zip(REASONS, row, strict=True) if is_so) for row in rows]

    def _foreign(
        self, n_tokens: npt.NDArray[np.integer], scripts: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.integer[Any]]:
        """Words of each text in a script that is not usual: [N]."""
        others = [at for at, name in enumerate(SCRIPTS) if name not in self.scripts]
        latin = 0 if LATIN in self.scripts else n_tokens - scripts.sum(axis=1)
        return np.asarray(scripts[:, others].sum(axis=1) + latin)

    def to_json(self) -> dict[str, Any]:
        """As in the manifest of a run."""
        return {
            "fewest_words": self.fewest,
            "most_words": self.most,
            "unknown_words": self.unknown,
            "scripts": list(self.scripts),
        }


def usual_for(artifact: Artifact) -> Usual:
    """What is usual to a model: all but the shortest, the longest and the least known hundredth of its texts.

    Raises:
        OptionError: the model does not say what its texts were like.
    """
    profile = artifact.training_profile
    if not profile.reviews:
        raise OptionError(
            "the model does not say what its training texts were like",
            where="--unusual",
            expected="a model whose manifest.json has a training_profile with reviews",
            got=f"{artifact.manifest['name']} {artifact.model_id}, brought from elsewhere",
            fix="adapt it to texts of yours, or leave --unusual out",
        )
    rare = RARE * profile.reviews
    below, above = np.cumsum((0, *profile.length[:-1])), np.cumsum(profile.length[::-1])[::-1]
    unknown = np.cumsum(profile.oov_rate[::-1])[::-1]
    longest = np.flatnonzero(above <= rare)
    return Usual(
        fewest=LENGTH_EDGES[int(np.flatnonzero(below <= rare)[-1])],
        most=LENGTH_EDGES[int(longest[0])] - 1 if len(longest) else None,
        unknown=next((edge for edge, count in zip(SHARE_EDGES, unknown, strict=True) if count <= rare), None),
        scripts=_scripts(profile),
    )


def _scripts(profile: Profile) -> tuple[str, ...]:
    """The scripts that a hundredth of the words of training are in; all, if it is not known which they are."""
    if profile.foreign_words > RARE * profile.words and not profile.scripts:
        return (LATIN, *SCRIPTS)
    return tuple(name for name, share in profile.script_shares().items() if share >= RARE)
