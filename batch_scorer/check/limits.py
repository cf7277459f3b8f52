"""What `check` measures, and up to which value each measure passes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from batch_scorer.errors import OptionError

OFF = "off"


@dataclass(frozen=True)
class Kind:
    """A measure: its limit unless `--max` gives another, and what its value is, for the help and the docs."""

    limit: float
    what: str


# Each is about the run alone, or about a change: against the runs of --reference or, without them, the training data.
KINDS = {
    "rejected": Kind(0.01, "share of the records that were rejected for a fault"),
    "unreadable": Kind(0, "files and ranges that could not be read"),
    "empty": Kind(0.1, "rise of the share of records without words"),
    "repeated": Kind(0.1, "rise of the share of reviews that repeat another one"),
    "volume": Kind(10, "how many times more, or fewer, records than in the median run of --reference, if any"),
    "score": Kind(0.25, "shift of the probabilities, as a stability index"),
    "length": Kind(0.25, "shift of the lengths, as a stability index"),
    "positive": Kind(0.1, "change of the share of positive reviews"),
    "unknown_words": Kind(0.05, "rise of the share of words that the model does not know"),
    "script": Kind(0.05, "rise of the share of words in a script; the script with the largest"),
    "truncated": Kind(0.1, "rise of the share of reviews that are too long to be read whole"),
    "words": Kind(0.75, "how well listed words alone tell these reviews from earlier ones (AUC; 0.5 is chance)"),
    "nulls": Kind(0.1, "rise of the share of nulls in a kept column; the column with the largest"),
    "undecided": Kind(0.1, "rise of the share of reviews that are not decided"),
    "unusual": Kind(0.1, "rise of the share of unusual reviews"),
    "errors": Kind(0.03, "rise of the share of labelled reviews that are predicted wrong (--label-column)"),
    "calibration": Kind(0.05, "rise of the expected calibration error (--label-column)"),
    "groups": Kind(0.25, "shift of the groups' shares of the reviews, as a stability index (--group-by)"),
    "group_positive": Kind(0.15, "change of the share of positive reviews in a group; the group with the largest"),
}


def read_limits(options: Iterable[str]) -> dict[str, float | None]:
    """The limit of each measure, None if it has none; `options` are those of `--max`, each `NAME=VALUE`.

    Raises:
        OptionError: there is no such measure, or the value is no limit.

    Example:
        >>> limits = read_limits(["positive=0.2", "volume=off"])
        >>> limits["positive"], limits["volume"], limits["unreadable"]
        (0.2, None, 0)
    """
    limits: dict[str, float | None] = {name: kind.limit for name, kind in KINDS.items()}
    for option in options:
        name, sign, value = option.partition("=")
        if name not in KINDS or not sign:
            raise OptionError(
                "--max names no measure" if sign else "--max needs a measure and its limit",
                expected=f"NAME=VALUE; the measures are {', '.join(KINDS)}",
                got=option,
                fix="for instance --max positive=0.2, or --max volume=off",
            )
        try:
            limits[name] = None if value == OFF else float(value)
        except ValueError:
            limits[name] = math.nan
        limit = limits[name]
        if limit is not None and not (0 <= limit < math.inf):
            raise OptionError(
                "--max has a limit that is not one", expected=f"a number of 0 or more, or {OFF}", got=option,
                fix=f"for instance --max {name}={KINDS[name].limit:g}",
            )  # fmt: skip
    return limits
