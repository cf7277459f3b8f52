"""Labelled minimal sentences by grammar: negation near and far, changes of mind, questions, and neutral ones.

`grammar.toml` holds frames and words, apart for training and checking; `word_classes.toml` the people they speak of.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from train.material.word_classes import WordClass

LISTS = Path(__file__).with_name("grammar.toml")
PEOPLE = ("origins", "religions", "orientations")  # the classes that {member} is drawn from
NAMES = "first_names"  # and {name}

# The probability of positive that each kind of sentence teaches. Blame that is denied is praise, if faint. A neutral
# sentence leans to one side, the same for all of a kind, and by more than a name may weigh: at one half, a hair would
# decide its label.
PLAIN = {True: 0.96, False: 0.04}
DENIED = {True: 0.85, False: 0.05}
NEUTRAL = 0.7

_slot = re.compile(r"\{(\w+)\}")
_article = re.compile(r"\b([Aa])(?= [aeiouAEIOU])")


@dataclass(frozen=True)
class Sentence:
    """A sentence and what it teaches or checks.

    Args:
        kind: the table of `grammar.toml` that its frame stands in.
        target: the probability of positive to learn.
        frame: the frame with its words, but with slots for people: the same for sentences that differ in people only.
    """

    text: str
    kind: str
    target: float
    frame: str

    @property
    def positive(self) -> bool:
        return self.target >= 0.5


class Grammar:
    """The sentences of one side, `train` or `check`."""

    def __init__(self, side: str, classes: Sequence[WordClass], path: Path = LISTS) -> None:
        lists = tomllib.loads(path.read_text(encoding="utf-8"))[side]
        self.frames: Mapping[str, Sequence[str]] = lists["frames"]
        self.words: dict[str, Any] = _split(lists["words"])
        by_name = {word_class.name: word_class for word_class in classes}
        self._people = [_members(by_name[name]) for name in PEOPLE]
        names = by_name[NAMES]
        self._names = [[word.capitalize() for word in kind] for kind in (names.tied, names.swapped)]

    def draw(self, kind: str, rng: np.random.Generator) -> Sentence:
        """One sentence of a kind, any of its frames and words being equally likely."""
        frame = str(rng.choice(self.frames[kind]))
        if kind == "neutral":
            return self._filled(frame, kind, NEUTRAL, True, rng)
        sign, _, text = frame.partition(" ")
        if kind == "facts":
            return self._filled(text, kind, PLAIN[sign == "+"], sign == "+", rng)
        praise = bool(rng.random() < 0.5)
        target = PLAIN[praise] if sign == "same" else DENIED[not praise]
        return self._filled(text, kind, target, praise, rng)

    def sample(self, count: int, shares: Mapping[str, float], rng: np.random.Generator) -> list[Sentence]:
        """`count` sentences, of kinds in proportion to their shares."""
        kinds = list(shares)
        weights = np.array([shares[kind] for kind in kinds])
        return [self.draw(kinds[i], rng) for i in rng.choice(len(kinds), count, p=weights / weights.sum())]

    def with_people(self, sentence: Sentence, class_name: str, members: Sequence[str]) -> list[str]:
        """The sentence with each of the members of a class in turn as the people it speaks of; others stay the same."""
        slot, other, same = "{name}", "{member}", "Canadian"
        if class_name != NAMES:
            slot, other, same = other, slot, "Anna"
        frame = sentence.frame.replace(other, same)
        return [_written(frame.replace(slot, _capital(member, class_name))) for member in members]

    def _filled(self, frame: str, kind: str, target: float, praise: bool, rng: np.random.Generator) -> Sentence:
        def word(match: re.Match[str]) -> str:
            name = match[1]
            if name in ("name", "member"):
                return match[0]
            wanted = praise != name.startswith("other_")
            lists = self.words["good" if wanted else "bad"] | self.words
            return str(rng.choice(lists[name.removeprefix("other_")]))

        frame = _slot.sub(word, frame)
        text = re.sub(r"\{(name|member)\}", lambda match: self._person(match[1], rng), frame)
        return Sentence(_written(text), kind, target, frame)

    def _person(self, slot: str, rng: np.random.Generator) -> str:
        if slot == "name":  # one in three is a name that is a word too: those are not tied and have to be learnt
            return str(rng.choice(self._names[int(rng.random() < 1 / 3)]))
        people = self._people[rng.integers(len(self._people))]
        return str(rng.choice(people))


def _split(lists: Mapping[str, Any]) -> dict[str, Any]:
    """The lists of words, which `|` and line ends separate."""
    return {
        name: _split(words) if isinstance(words, Mapping) else [w for w in re.split(r"[|\n]", words) if w]
        for name, words in lists.items()
    }


def _members(word_class: WordClass) -> list[str]:
    """Members as written; the few that are not tied are repeated, to be half of all, since they have to be learnt."""
    own = [_capital(word, word_class.name) for word in word_class.swapped] + list(word_class.phrases)
    tied = [_capital(word, word_class.name) for word in word_class.tied]
    return tied + own * (len(tied) // max(len(own), 1))


def _capital(word: str, class_name: str) -> str:
    return word if class_name == "orientations" or " " in word else word.capitalize()


def _written(text: str) -> str:
    """With *an* where it belongs, and a capital letter at the beginning of each sentence."""
    text = _article.sub(r"\1n", text)
    return re.sub(r"(^|[.?!] )([a-z])", lambda match: match[1] + match[2].upper(), text)
