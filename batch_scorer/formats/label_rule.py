"""Which labels mean positive: the one rule of training, evaluation, `report` and `compare`.

Labels that everybody reads in the same way (`PAIRS`) need no telling. All others have to be told, by `--positive-value`
and `--negative-value`: values (`5`, `good`) and ranges of numbers (`>=4`, `<3`, `4..5`). A value and a label are
compared as numbers where both are numbers (`5`, `5.0` and `05` are one, `True` is 1), and otherwise as text, without
the blanks around it; the words of `PAIRS` in any case.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from batch_scorer.errors import OptionError
from batch_scorer.escape import quoted
from batch_scorer.formats.labels import BLANK, NUMBER, VALUE_CHARACTERS, Labels, clean, listed, number_of, ordered

# What means positive and negative without telling, in any case.
PAIRS = (
    *(("1", "0"), ("1", "-1"), ("true", "false"), ("yes", "no"), ("positive", "negative"), ("pos", "neg")),
    *(("t", "f"), ("y", "n"), ("p", "n"), ("+", "-")),
)
# What an example of a positive value should not be; "5 stars" comes after "1 star", and "good" after "bad".
_UNLIKELY = frozenset(
    (
        *("bad", "sad", "neg", "negative", "no", "n", "false", "poor", "terrible", "unhappy", "worst", "0", "-1"),
        *("neutral", "mixed", "none", "other", "unknown", "nan", "null"),
    )
)
_LOWER, _UPPER = 0.35, 0.65  # of a scale: the ends of example ranges, 2 and 4 of 5 stars, 4 and 7 of 1 to 10
_WORDS = frozenset(word for pair in PAIRS for word in pair)
_OPPOSITES = {yes: no for yes, no in PAIRS if yes.isalpha()}
_is_bound = re.compile(rf"(>=|<=|>|<)\s*({NUMBER})").fullmatch
_is_span = re.compile(rf"({NUMBER})\s*\.\.\s*({NUMBER})").fullmatch


@dataclass(frozen=True)
class Term:
    """A value or a range that an option gives: `text`, and the closed interval of numbers that it stands for.

    The interval of a word holds no number: its ends are NaN.
    """

    text: str
    low: float = math.nan
    high: float = math.nan
    is_range: bool = False

    @staticmethod
    def of(text: str, option: str) -> Term:
        """What `option`, `--positive-value` for instance, says with `text`.

        Raises:
            OptionError: the text is empty or too long, or the range holds nothing.
        """
        text = text.strip(BLANK)
        if not 0 < len(text) <= VALUE_CHARACTERS:
            what = f"is longer than {VALUE_CHARACTERS} characters" if text else "is empty"
            raise OptionError(f"{option} {what}", expected="a label, or a range such as '>=4' or 4..5")
        if bound := _is_bound(text):
            sign, limit = bound[1], float(bound[2])
            if sign[0] == ">":
                return Term(text, limit if sign == ">=" else math.nextafter(limit, math.inf), math.inf, True)
            return Term(text, -math.inf, limit if sign == "<=" else math.nextafter(limit, -math.inf), True)
        if span := _is_span(text):
            low, high = float(span[1]), float(span[2])
            if low > high:
                fix = f"write {option} {span[2]}..{span[1]}"
                raise OptionError(f"the range {text} holds no number", where=f"{option} {text}", fix=fix)
            return Term(text, low, high, True)
        number = number_of(text)
        return Term(text) if number is None else Term(text, number, number)

    def holds(self, label: str) -> bool:
        """Whether a label, which is not missing, is this value or in this range."""
        number = number_of(label)
        if number is not None and self.low <= number <= self.high:
            return True
        if self.is_range:
            return False
        folded = self.text.lower()
        return label.lower() == folded if folded in _WORDS else label == self.text

    def meets(self, other: Term) -> bool:
        """Whether some label could be both."""
        if self.low <= other.high and other.low <= self.high:
            return True
        return not other.is_range and self.holds(other.text)


@dataclass(frozen=True)
class LabelRule:
    """What means positive and what means negative in a column.

    Args:
        column: its name.
        positive: values and ranges; if there are none, the labels have to be plain.
        negative: the same; if there are none, all other labels mean negative.
    """

    column: str
    positive: tuple[Term, ...] = ()
    negative: tuple[Term, ...] = ()

    @staticmethod
    def of(column: str, positive: Iterable[str] = (), negative: Iterable[str] = ()) -> LabelRule:
        """The rule that options give, each any number of times.

        Raises:
            OptionError: a label could mean both, a value cannot be one, or only negative ones are given.

        Example:
            >>> stars = LabelRule.of("stars", [">=4"], ["<=2"])
            >>> stars.read({"5": 3, "4.0": 1, "3": 7, "1": 2, None: 1}).counts
            {'positive': 4, 'negative': 2, 'neither': 7, 'missing': 1}
        """
        yes = tuple(Term.of(text, "--positive-value") for text in positive)
        no = tuple(Term.of(text, "--negative-value") for text in negative)
        if no and not yes:
            fix = "name the values that mean positive as well"
            raise OptionError("--negative-value needs --positive-value", fix=fix)
        for one in yes:
            for other in no:
                if one.meets(other):
                    raise OptionError(
                        "a label would mean both positive and negative",
                        where=f"--label-column {column}",
                        expected="values and ranges that have no label in common",
                        got=f"--positive-value {quoted(one.text)} --negative-value {quoted(other.text)}",
                        fix="narrow one of the two: '>4' begins where '<=4' ends",
                    )
        return LabelRule(column, yes, no)

    def means(self, label: str | None) -> bool | None:
        """What one label means by values that are told for both sides; None if it is missing, or means neither."""
        cleaned = clean(label)
        return None if cleaned is None else _meaning(cleaned, self.positive, self.negative)

    def read(self, found: Mapping[str | None, int]) -> Labels:
        """What the labels of a column mean, given how often each occurs.

        Raises:
            OptionError: the labels are not plain and no option tells what they mean, or nothing that should mean
                positive occurs among them.
        """
        values: Counter[str] = Counter()
        for label, count in found.items():
            if (cleaned := clean(label)) is not None:
                values[cleaned] += count
        positive, negative = self.positive, self.negative
        if not positive and values:
            positive, negative = self._plain(values)
        elif not negative:
            negative = _opposites(positive, values)
        meaning = {value: _meaning(value, positive, negative) for value in values}
        told = {*meaning.values()} - {None}
        if values and True not in told and not (negative and told):
            raise self._absent(values)
        remarks = tuple(
            f"{option} {quoted(term.text)} does not occur among the labels in {self.column}."
            for option, terms in (("--positive-value", self.positive), ("--negative-value", self.negative))
            for term in terms
            if values and not any(map(term.holds, values))
        )
        yes, no = (tuple(term.text for term in terms) for terms in (positive, negative))
        return Labels(self.column, yes, no, meaning, values, sum(found.values()) - values.total(), remarks)

    def _plain(self, values: Mapping[str, int]) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
        """What everybody takes for positive, and for negative."""
        texts, numbers = {value.lower() for value in values}, {number_of(value) for value in values}
        same_text = [pair for pair in PAIRS if texts <= {*pair}]
        same_number = [pair for pair in PAIRS if None not in numbers and numbers <= {number_of(word) for word in pair}]
        for yes, no in same_text + same_number:
            return (Term.of(yes, ""),), (Term.of(no, ""),)
        raise OptionError(
            "cannot tell which labels mean positive",
            where=f"--label-column {self.column}",
            expected="1 and 0, true and false, yes and no, positive and negative, or options that tell",
            got=listed(values),
            fix=_how_to_tell(values),
        )

    def _absent(self, values: Mapping[str, int]) -> OptionError:
        names = " or ".join(repr(term.text) for term in self.positive)
        one = "range" if any(term.is_range for term in self.positive) else "value"
        return OptionError(
            f"the {one} that should mean positive does not occur among the labels",
            where=f"--label-column {self.column}",
            expected=f"the {one} {names} among the labels",
            got=listed(values),
            fix="give --positive-value one of these; where all of them mean negative, say so with --negative-value",
        )


def _meaning(value: str, positive: Sequence[Term], negative: Sequence[Term]) -> bool | None:
    if any(term.holds(value) for term in positive):
        return True
    return False if not negative or any(term.holds(value) for term in negative) else None


def _opposites(positive: Sequence[Term], values: Iterable[str]) -> tuple[Term, ...]:
    """The opposites of what means positive, if these are words of `PAIRS` and their opposites occur.

    Beside `positive` and `negative`, a third label such as `neutral` means neither.
    """
    opposites = [_OPPOSITES.get(term.text.lower()) for term in positive]
    texts = {value.lower() for value in values}
    if not opposites or not {*opposites} <= texts:
        return ()
    return tuple(Term.of(word, "") for word in opposites if word is not None)


def _how_to_tell(values: Mapping[str, int]) -> str:
    """Options that would do, made of the labels themselves."""
    labels = [*ordered(values)]
    folded = {label.lower(): label for label in labels}
    pairs = [(folded[yes], folded[no]) for yes, no in PAIRS if yes in folded and no in folded]
    numbers = [number for number in map(number_of, labels) if number is not None]
    if len(numbers) == len(labels) > 1 and numbers[0] < numbers[-1]:
        # Where they are on the scale, of which some may not occur, rather than how many there are.
        parts = [(number - numbers[0]) / (numbers[-1] - numbers[0]) for number in numbers]
        yes = next((label for label, part in zip(labels, parts, strict=True) if part >= _UPPER), labels[-1])
        no = [label for label, part in zip(labels, parts, strict=True) if part <= _LOWER][-1]
        pairs = [(f"'>={yes}'", f"'<={no}'")]
    for yes, no in pairs:
        options = f"--positive-value {yes} --negative-value {no}"
        return f"say which mean positive and which negative, for instance {options}; what is neither is left out"
    usable = [label for label in labels if label.isprintable() and len(label) <= VALUE_CHARACTERS]
    likely = [label for label in usable if label.lower() not in _UNLIKELY] or usable
    instance = f", for instance --positive-value {quoted(likely[-1])}" if likely else ""
    others = "all others then mean negative, unless --negative-value names those that do"
    return f"name each value that means positive with --positive-value{instance}; {others}"
