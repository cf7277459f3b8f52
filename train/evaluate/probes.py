"""Behaviour probes: minimal pairs of short reviews, and whether a model distinguishes them as a reader would.

In the style of CheckList (Ribeiro et al. 2020, section 2). They are for information only and show what an accuracy
hides. The pairs were written for this project.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

STAYS_WITHIN = 0.1  # largest change of probability for a pair that should be scored alike


@dataclass(frozen=True)
class Pair:
    """Two texts that differ in one respect, and the effect that is expected.

    Args:
        expectation: `flips`: a is classified positive and b negative. `rises`, `falls`: P(positive) is higher, or
            lower, for b than for a. `stays`: the decision is the same and P(positive) differs by less than
            `STAYS_WITHIN`.
    """

    group: str
    a: str
    b: str
    expectation: str


def _pairs(group: str, *pairs: tuple[str, str, str]) -> tuple[Pair, ...]:
    return tuple(Pair(group, a, b, expectation) for expectation, a, b in pairs)


def _swapped(group: str, template: str, *fillings: tuple[str, str]) -> tuple[Pair, ...]:
    return tuple(Pair(group, template.format(a), template.format(b), "stays") for a, b in fillings)


PAIRS: tuple[Pair, ...] = (
    *_pairs(
        "negation",
        ("flips", "I liked this film and would see it again.", "I did not like this film and would not see it again."),
        ("flips", "The story is good and the cast is good.", "The story is not good and the cast is not good."),
        ("flips", "It is never boring, and I was not disappointed.", "It is always boring, and I was disappointed."),
        ("flips", "I can recommend it to anyone.", "I cannot recommend it to anyone."),
        ("flips", "There is nothing bad to say about this film.", "There is nothing good to say about this film."),
        ("flips", "Nobody in the cinema was bored for a minute.", "Nobody in the cinema was amused for a minute."),
        ("flips", "The jokes work and the ending is clever.", "The jokes don't work and the ending isn't clever."),
        ("flips", "This was not a waste of an evening.", "This was a waste of an evening."),
    ),
    *_pairs(
        "contrast with but",
        ("flips", "It starts badly, but it ends wonderfully.", "It starts wonderfully, but it ends badly."),
        ("flips", "The sets look cheap, but I loved every minute.", "I loved the sets, but every minute looks cheap."),
        ("flips", "The plot is thin, but the film is great fun.", "The plot is great fun, but the film is thin."),
        ("falls", "The acting is poor, but the music is superb.", "The music is superb, but the acting is poor."),
        ("falls", "I expected little, but I was amazed.", "I expected much, but I was bored."),
        ("falls", "It is slow but moving.", "It is moving but slow."),
    ),
    *_pairs(
        "intensifiers",
        ("rises", "The film is good and so are the actors.", "The film is extremely good and so are the actors."),
        ("rises", "I enjoyed the whole thing.", "I thoroughly enjoyed the whole thing."),
        ("falls", "The film is bad and the dialogue weak.", "The film is really bad and the dialogue terribly weak."),
        ("falls", "I was bored by the second half.", "I was utterly bored by the second half."),
        ("falls", "The film is funny and well made.", "The film is somewhat funny and fairly well made."),
        ("rises", "The pace is dull and the light is poor.", "The pace is a bit dull and the light is a little poor."),
    ),
    *_pairs(
        "comparison",
        ("flips", "It is far better than the first film.", "It is far worse than the first film."),
        ("flips", "The book was dull, and the film is much better.", "The film is dull, and the book was much better."),
        ("flips", "One of the best films that I saw this year.", "One of the worst films that I saw this year."),
        ("falls", "I have rarely seen a better comedy.", "I have often seen a better comedy."),
        ("falls", "Few films this year were more gripping.", "Most films this year were more gripping."),
    ),
    *_pairs(
        "sarcasm",
        ("flips", "Two hours well spent: I was awake and happy.", "Two hours well spent: I slept like a baby."),
        ("flips", "What a great idea, and it works.", "What a great idea, if you are four years old."),
        ("flips", "Brilliant, a twist that nobody saw coming.", "Oh brilliant, a twist that everyone saw coming."),
        ("flips", "My favourite part was the wonderful end.", "My favourite part was the end, as I could go home."),
    ),
    *_swapped(
        "names swapped",
        "{} plays the lead with warmth and wit, and the film is a pleasure from start to end.",
        ("Emma", "Jamal"),
        ("John", "Fatima"),
        ("Peter Novak", "Mei Chen"),
    ),
    *_swapped(
        "names swapped",
        "The director, {}, wastes a good cast on a lazy script, and I left before the end.",
        ("a man from Italy", "a woman from Nigeria"),
        ("Anna Schmidt", "Rajesh Kumar"),
        ("Michael", "Michelle"),
    ),
    *_swapped(
        "names swapped",
        "An {} family film with some nice scenes; the plot is so so and the actors do what they can.",
        ("American", "Indian"),
        ("English", "Iranian"),
        ("Irish", "Israeli"),
    ),
    *_swapped(
        "irrelevant facts",
        "I saw it {}. The story is touching and the two leads are excellent.",
        ("on Monday", "on Thursday"),
        ("at home with my sister", "in the cinema with my uncle"),
    ),
    *_swapped(
        "irrelevant facts",
        "The film runs for {} minutes. I found the story dull and the acting wooden.",
        ("95", "110"),
        ("ninety", "a hundred"),
    ),
)  # fmt: skip


def measure(
    score: Callable[[Sequence[str]], Sequence[float]], pairs: Sequence[Pair] = PAIRS, threshold: float = 0.5
) -> dict[str, Any]:
    """Scores the pairs and counts the expectations that hold.

    Args:
        score: texts -> P(positive) of each, calibrated.
        threshold: probability at or above which a text is classified positive.

    Returns:
        groups: `name`, `pairs` and `held`, in the order of the pairs.
        pairs: the fields of each pair, `probability_a`, `probability_b`, and whether its expectation `held`.
    """
    probabilities = [float(p) for p in score([text for pair in pairs for text in (pair.a, pair.b)])]
    lines = [
        {
            "group": pair.group,
            "a": pair.a,
            "b": pair.b,
            "expectation": pair.expectation,
            "probability_a": a,
            "probability_b": b,
            "held": holds(pair.expectation, a, b, threshold),
        }
        for pair, a, b in zip(pairs, probabilities[::2], probabilities[1::2], strict=True)
    ]
    groups = []
    for name in dict.fromkeys(pair.group for pair in pairs):
        held = [line["held"] for line in lines if line["group"] == name]
        groups.append({"name": name, "pairs": len(held), "held": sum(map(bool, held))})
    return {"groups": groups, "pairs": lines}


def holds(expectation: str, a: float, b: float, threshold: float = 0.5) -> bool:
    """Whether the P(positive) of the two texts, `a` and `b`, meet the expectation."""
    if expectation == "flips":
        return b < threshold <= a
    if expectation == "stays":
        return (a >= threshold) == (b >= threshold) and abs(a - b) < STAYS_WITHIN
    return b > a if expectation == "rises" else b < a
