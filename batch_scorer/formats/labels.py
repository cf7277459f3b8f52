"""The labels of a column -> how many are positive, negative or neither, in words and figures. `label_rule` decides."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from batch_scorer.escape import counted, safe

VALUE_CHARACTERS = 200  # of a label that can be told from others
BLANK = " \t\r\n"  # around a label
SHOWN_LABELS, _SHOWN_CHARACTERS = 12, 30  # labels in a message, and characters of each
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_is_number = re.compile(NUMBER).fullmatch


def clean(label: str | None) -> str | None:
    """A label without the blanks around it; None if it is missing: null, blank or NaN."""
    label = "" if label is None else label.strip(BLANK)
    return None if label.lower() in ("", "nan") else label


def number_of(label: str) -> float | None:
    """A label as a number, None if it is none, or a very long one; true is 1 and false is 0."""
    if len(label) > VALUE_CHARACTERS:
        return None
    number = float(label) if _is_number(label) else {"true": 1.0, "false": 0.0}.get(label.lower())
    return number if number is not None and math.isfinite(number) else None


@dataclass(frozen=True)
class Labels:
    """The labels of a column, as a rule reads them.

    Args:
        column: its name.
        positive, negative: the values and ranges that mean so; without any negative ones, all other labels do.
        meaning: for each label that is not missing: True for positive, False for negative, None for neither.
        values: how often each of these occurs.
        missing: how many are null, blank or NaN.
        remarks: sentences on what is odd.
    """

    column: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    meaning: Mapping[str, bool | None]
    values: Mapping[str, int]
    missing: int
    remarks: tuple[str, ...] = ()

    def of(self, label: str | None) -> bool | None:
        """What a label of the column means; None if it is missing, or means neither."""
        cleaned = clean(label)
        return None if cleaned is None else self.meaning[cleaned]

    @property
    def counts(self) -> dict[str, int]:
        """How many labels are `positive`, `negative`, `neither` and `missing`."""
        sums: Counter[bool | None] = Counter()
        for value, count in self.values.items():
            sums[self.meaning[value]] += count
        return {"positive": sums[True], "negative": sums[False], "neither": sums[None], "missing": self.missing}

    @property
    def positive_text(self) -> str:
        """What means positive, in words."""
        return " or ".join(self.positive)

    @property
    def negative_text(self) -> str:
        """What means negative, in words."""
        return " or ".join(self.negative) or "any other value"

    def sentence(self) -> str:
        """How the labels divide: ``labels in stars: 40 positive (4, 5), 31 negative (1, 2), 9 neither (3)``."""
        parts = []
        for name, meaning in (("positive", True), ("negative", False), ("neither", None)):
            some = {value: count for value, count in self.values.items() if self.meaning[value] is meaning}
            if some:
                parts.append(f"{sum(some.values()):,} {name} ({_shown(_cut(value) for value in ordered(some))})")
            elif meaning is not None:
                parts.append(f"0 {name}")
        missing = [f"{self.missing:,} without a label"] if self.missing else []
        return f"labels in {safe(self.column)}: {', '.join([*parts, *missing])}"

    def to_json(self) -> dict[str, Any]:
        """As a model's manifest keeps it: the column, the rule, and how many labels of each kind there are."""
        return {
            "column": self.column,
            "positive": list(self.positive),
            "negative": list(self.negative),
            "counts": self.counts,
        }


def described(labelling: Mapping[str, Any]) -> str:
    """What `Labels.to_json` holds, in words: ``stars: >=4 positive, <=2 negative (40 and 31; 9 left out)``."""
    counts, column = labelling["counts"], labelling["column"]
    rule = " or ".join(labelling["positive"]), " or ".join(labelling["negative"]) or "any other"
    left_out = counts["neither"] + counts["missing"]
    return (
        f"{'folders' if column is None else safe(column)}: {safe(rule[0])} positive, {safe(rule[1])} negative "
        f"({counts['positive']:,} and {counts['negative']:,}{f'; {left_out:,} left out' if left_out else ''})"
    )


def listed(values: Mapping[str, int]) -> str:
    """Some of the labels and how often each occurs: ``1 (203 reviews), 2 (31), 5 (400)``."""
    first, *rest = ordered(values).items()
    others = [f"{_cut(value)} ({count:,})" for value, count in rest]
    return _shown([f"{_cut(first[0])} ({counted(first[1], 'review')})", *others])


def ordered(values: Mapping[str, int]) -> dict[str, int]:
    """The labels and how often each occurs: numbers in their order, equal ones as one; words by frequency."""
    merged: Counter[str] = Counter()
    for value, count in values.items():
        number = None if value.isalpha() else number_of(value)
        whole = number is not None and number.is_integer() and abs(number) < 1e15
        merged[str(int(number)) if number is not None and whole else value] += count
    if None in map(number_of, merged):
        return dict(sorted(merged.items(), key=lambda item: (-item[1], item[0])))
    return dict(sorted(merged.items(), key=lambda item: (number_of(item[0]) or 0.0, item[0])))


def _cut(label: str) -> str:
    return safe(label, _SHOWN_CHARACTERS)


def _shown(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - SHOWN_LABELS
    return ", ".join(names[:SHOWN_LABELS]) + (f" and {more:,} more" if more > 0 else "")
