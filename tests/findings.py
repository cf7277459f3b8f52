"""Made-up findings for tests of the page: always the same, with texts of their own, and hostile on request."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np

from batch_scorer.models.profile import LENGTH_EDGES, SHARE_EDGES
from batch_scorer.report.findings import (
    LEAST_CERTAIN,
    LISTS,
    MOST_NEGATIVE,
    MOST_POSITIVE,
    MOST_SURPRISING,
    Drift,
    Findings,
    Histogram,
    Identity,
    ListedWord,
    Rejected,
    Review,
    WordTotal,
)
from batch_scorer.report.quality_findings import Quality, Reliability, Slice

BIAS, TEMPERATURE = -0.193, 1.2558
GOOD = ("lovely", "warm", "funny", "wonderful", "superb", "charming", "gripping", "tender")
BAD = ("dull", "thin", "clumsy", "awful", "tedious", "muddled", "lifeless", "pointless")
PLAIN = (
    *("the", "film", "and", "its", "harbour", "scenes", "with", "an", "old", "ferry", "captain", "who", "says"),
    *("little", "until", "rain", "comes", "down", "over", "town", "while", "brother", "waits", "for", "a", "letter"),
)

# Strings that must stay text wherever the page shows them.
HOSTILE = (
    "</script><img src=x onerror=window.__pwned=1>",
    "${window.__pwned=1} {{7*7}} {% raw %}",
    "javascript:window.__pwned=1",
    "\"><svg onload='window.__pwned=1'>",
    "--><!--<script>window.__pwned=1</script>",
    "noplacetobreak" * 12,
    "gpj.\u202eexe \u2066left\u2069 \x1b[2J\x00 \u2028 end",
)


def text_of(rng: np.random.Generator, good: int, bad: int, plain: int) -> str:
    """A few sentences with this many good, bad and plain words."""
    words = [*rng.choice(GOOD, good), *rng.choice(BAD, bad), *rng.choice(PLAIN, plain)]
    rng.shuffle(words)
    ends = [
        ", " if at % 11 == 7 else ".<br /><br />" if at % 67 == 66 else ". " if at % 13 == 12 else " "
        for at in range(len(words))
    ]
    return "".join(word + end for word, end in zip(words, ends, strict=True)).strip() + "."


def review_of(record_id: str, text: str, rng: np.random.Generator, lists: tuple[str, ...], top_k: int = 10) -> Review:
    """A review whose contributions add up to its logit, like those of a row of `predictions`."""
    matches = list(re.finditer(r"[\w']+", text.replace("<br />", " " * len("<br />"))))
    sign = np.array([1 if m.group().lower() in GOOD else -1 if m.group().lower() in BAD else 0 for m in matches])
    attention = rng.dirichlet(np.where(sign == 0, 0.4, 4.0))
    contribution = sign * rng.uniform(0.2, 1.6, len(matches)) + rng.normal(0, 0.05, len(matches))
    by_attention, by_contribution = (
        np.argsort(-attention)[:top_k].tolist(),
        np.argsort(-abs(contribution))[:top_k].tolist(),
    )
    words = tuple(
        ListedWord(
            matches[at].group().lower(),
            at,
            matches[at].start(),
            matches[at].end(),
            float(attention[at]),
            float(contribution[at]),
            by_contribution.index(at) + 1 if at in by_contribution else None,
            by_attention.index(at) + 1 if at in by_attention else None,
        )
        for at in sorted({*by_attention, *by_contribution})
    )
    rest = float(contribution.sum() - contribution[by_contribution].sum())
    logit = BIAS + float(contribution.sum())
    probability = 1 / (1 + math.exp(-logit / TEMPERATURE))
    return Review(
        record_id=record_id,
        source="exports/2024/reviews.parquet",
        offset=int(rng.integers(0, 50_000)),
        lists=lists,
        probability=probability,
        logit=logit,
        label="positive" if probability >= 0.5 else "negative",
        truth=str(rng.choice(["positive", "negative"])),
        n_tokens=len(matches),
        n_tokens_used=min(len(matches), 499),
        oov_rate=float(rng.uniform(0, 0.1)),
        temperature=TEMPERATURE,
        words=words,
        rest=rest,
        kept=(("product", f"ferry {rng.integers(1, 9)}"), ("stars", str(rng.integers(1, 6)))),
        text=text,
    )


def reviews_of(each: int, plain: int = 60, seed: int = 11) -> tuple[Review, ...]:
    """Reviews for the four lists, `each` for each of them."""
    rng = np.random.default_rng(seed)
    moods = {MOST_POSITIVE: (9, 1), MOST_NEGATIVE: (1, 9), LEAST_CERTAIN: (5, 5), MOST_SURPRISING: (6, 4)}
    return tuple(
        review_of(f"{name[0]}{number:03d}", text_of(rng, *moods[name], plain), rng, (name,))
        for name in LISTS
        for number in range(each)
    )


def hostile_review() -> Review:
    """A review in which every string tries to be markup or code."""
    text = " wonderful ".join(HOSTILE)
    review = review_of(HOSTILE[0], text, np.random.default_rng(3), (MOST_POSITIVE,))
    kept = tuple((string, string) for string in HOSTILE)
    return replace(review, source=HOSTILE[2], kept=kept)


def _shape(edges: tuple[float, ...], weights: np.ndarray, other: np.ndarray, reviews: int) -> Histogram:
    def counts(of: np.ndarray, total: int) -> tuple[int, ...]:
        return tuple(int(n) for n in np.round(of / of.sum() * total))

    return Histogram(edges, counts(weights, reviews), counts(other, 2_491))


def _drifts(reviews: int) -> tuple[Drift, ...]:
    ends = np.abs(np.linspace(-1, 1, 20)) ** 5 + 0.03
    lengths = np.exp(-((np.arange(len(LENGTH_EDGES)) - 6.0) ** 2) / 6)
    unknown = np.exp(-np.arange(20) / 0.9)
    return (
        Drift(
            "score",
            0.021,
            "stable",
            "The scores are distributed as in training.",
            _shape(SHARE_EDGES, ends, ends[::-1] + 0.02, reviews),
        ),
        Drift(
            "length",
            0.142,
            "moderate",
            "The reviews are somewhat shorter than in training: 178 words on average, 229 there.",
            _shape(LENGTH_EDGES, np.roll(lengths, -1), lengths, reviews),
        ),
        Drift(
            "unknown words",
            0.410,
            "major",
            "More words are unknown than in training: 11% of them, 6% there.",
            _shape(SHARE_EDGES, np.roll(unknown, 1) + 0.001, unknown, reviews),
        ),
    )


def _quality() -> Quality:
    probabilities = (0.02, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.86, 0.98)
    positives = (0.02, 0.17, 0.22, 0.38, 0.41, 0.59, 0.63, 0.74, 0.84, 0.97)
    counts = (1_900, 220, 140, 95, 90, 100, 125, 180, 250, 1_880)
    pairs = zip(counts, probabilities, positives, strict=True)
    slices = (
        Slice("length", "up to 100 words", 640, 0.952, 0.932, 0.966),
        Slice("length", "over 400 words", 612, 0.894, 0.867, 0.916),
        Slice("product", "ferry 1", 41, 0.854, 0.716, 0.931),
        Slice("product", HOSTILE[0], 12, 0.917, 0.646, 0.985),
    )
    return Quality(
        *("stars", ">=4", "<=2", 4_980, 20, 15, 0.9223, 0.9145, 0.9294),
        *(2_312, 201, 2_281, 186, 0.0083),
        tuple(Reliability(*pair) for pair in pairs),
        slices,
    )


def _words(names: tuple[str, ...], sign: int, reference: bool) -> tuple[WordTotal, ...]:
    return tuple(
        WordTotal(
            name,
            sign * 4_210.5 / (at + 1.5),
            5_200 // (at + 1),
            4_900 // (at + 1),
            sign * (4_000.0 - 40 * at) / (at + 1.3) if reference else None,
            61.5 + at if reference else None,
        )
        for at, name in enumerate(names)
    )


def findings(each: int = 6, hostile: bool = False, plain: int = 60) -> Findings:
    """A report in which every section has something to show.

    Args:
        each: reviews per list.
        hostile: whether strings that come from the data are those of `HOSTILE`.
        plain: neutral words per review.
    """
    bad = HOSTILE if hostile else ("a line that is not JSON", "text", "reviews.jsonl", "no words", "{", "a message")
    extra = tuple(WordTotal(word, 900.0, 3, 3, 1.0) for word in HOSTILE) if hostile else ()
    run = Identity(
        bad[1] if hostile else "out/october",
        f"</title>{bad[0]}" if hostile else "d5da705a8bfc",
        bad[2] if hostile else "imdb",
        "189944ba74ff",
        "2024-10-31T08:28:26.707089+00:00",
        50_000,
        0.5132,
        False,
    )
    old = replace(
        run, output="out/september", run_id="661afc5907c1", finished="2024-09-30T07:00:00+00:00", positive=0.4981
    )
    reviews = (*((hostile_review(),) if hostile else ()), *reviews_of(each, plain))
    rejected = (
        Rejected(
            "decode",
            "malformed_json",
            "A line is not JSON.",
            3,
            (("reviews.jsonl", 512, bad[5], bad[0]), (bad[2], 900, bad[1], bad[3])),
        ),
        Rejected(
            "encode",
            bad[3] if hostile else "no_words",
            "The text has no letters or digits.",
            1,
            (("reviews.jsonl", None, bad[4], None),),
        ),
    )
    return Findings(
        run=run,
        reference=old,
        read=50_004,
        scored=50_000,
        rejected_count=4,
        unreadable=1,
        used_words=11_483_920,
        truncated=3_912,
        oov_share=0.1103,
        bias=BIAS,
        temperature=TEMPERATURE,
        temperature_by_review=False,
        threshold=0.5,
        max_words=499,
        words_read=499,
        top_k=10,
        warnings=("11% of the words are unknown to the model (6% in training)", *bad[:1]),
        notices=("texts of 12 reviews were shortened",),
        not_a_success="1 file could not be read",
        texts_note=f"The texts come from {'/alongpath' * 9 if hostile else 'the inputs of the run'}.",
        score=_drifts(50_000)[0].histogram,
        drift=_drifts(50_000),
        drift_reference=_drifts(50_000),
        positive_words=(*_words(GOOD, 1, True), *extra),
        negative_words=_words(BAD, -1, True),
        changed_words=(*_words(GOOD[:4], 1, True), *_words(BAD[:4], -1, True)),
        reviews=reviews,
        quality=_quality(),
        rejected=rejected,
    )


def bare() -> Findings:
    """A report of a run without labels, reference, texts, warnings, rejected records or listed words."""
    full = findings(each=2)
    reviews = tuple(replace(review, text=None, truth=None, kept=()) for review in full.reviews)
    return replace(
        full,
        run=replace(full.run, complete=True),
        reference=None,
        read=50_000,
        rejected_count=0,
        unreadable=0,
        warnings=(),
        notices=(),
        not_a_success=None,
        texts_note="There are no texts: none were kept, and none were given.",
        drift_reference=(),
        positive_words=tuple(replace(word, reference=None) for word in full.positive_words),
        negative_words=tuple(replace(word, reference=None) for word in full.negative_words),
        changed_words=(),
        reviews=reviews,
        quality=None,
        rejected=(),
    )
