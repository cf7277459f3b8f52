"""Turns the JSON of an evaluation into Markdown: its page, and the sections that the model card shares with it.

Each section is one or more paragraphs without a heading, so that each page can choose its own headings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batch_scorer.formats.labels import described
from train.evaluate.probes import STAYS_WITHIN
from train.evaluate.wording import RANKINGS, code, interval, length_name, number, oov_name, percent, table

Json = Mapping[str, Any]


def evaluation_page(evaluation: Json) -> str:
    """The text of `evaluation.md`, which lies beside its figures.

    Args:
        evaluation: as returned by `train.evaluate.run.evaluate`.
    """
    model, quality = evaluation["model"], evaluation["quality"]
    parts = [
        f"# Evaluation of {model['name']} {model['id']}",
        data_line(evaluation),
        "## Quality",
        table(["", "#"], headline(quality)),
        confusion_table(quality),
        "## Calibration",
        calibration(quality, ""),
        "## By length and unknown words",
        slices(quality, ""),
        "## The most confident mistakes",
        mistakes(quality),
    ]
    if evaluation["faithfulness"]:
        parts += ["## What the explanations are worth", faithfulness(evaluation["faithfulness"], "")]
    parts += [
        "## Behaviour probes",
        probe_groups(evaluation["probes"]),
        probe_pairs(evaluation["probes"], all_of_them=True),
    ]
    return "\n\n".join(parts) + "\n"


def data_line(evaluation: Json) -> str:
    """Which reviews the figures are for, and how many."""
    data = evaluation["data"]
    files = ", ".join(f"`{name}`" for name in data["files"])
    without = f"; {data['without_words']:,} more without any words were not scored" if data["without_words"] else ""
    return f"{data['reviews']:,} labelled reviews from {files} (sha256 `{data['sha256'][:12]}`){without}.{labels(data)}"


def labels(data: Json) -> str:
    """A sentence on the labels, after a space, as far as `data["labels"]` knows of them."""
    return f" Labels in {code(described(data['labels']))}." if data.get("labels") else ""


def headline(quality: Json) -> list[tuple[str, str]]:
    """The most important figures: name and value."""
    chance = quality["ece_by_chance"]
    return [
        ("reviews", f"{quality['reviews']:,}"),
        ("accuracy, 95 % interval", interval(quality, "accuracy", 4)),
        ("AUC", number(quality["auc"], 4)),
        ("log loss (NLL), nats", number(quality["log_loss"], 4)),
        ("Brier score", number(quality["brier"], 4)),
        ("ECE, 15 bins of confidence", number(quality["ece"], 4)),
        ("ECE of perfect calibration, by chance", f"{chance['mean']:.4f}, below {chance['high']:.4f} in 95 %"),
    ]


def confusion_table(quality: Json) -> str:
    """Table of labels against decisions."""
    rows = [(label, *(f"{n:,}" for n in line.values())) for label, line in quality["confusion"].items()]
    return table(["label", "#called negative", "#called positive"], rows)


def calibration(quality: Json, folder: str) -> str:
    """The ECE compared with chance, the reliability diagram, and its bins.

    Args:
        folder: prefix of the links to the figures: empty, or `directory/`.
    """
    chance = quality["ece_by_chance"]
    verdict = "within" if quality["ece"] <= chance["high"] else "above"
    bins = [
        (
            f"{percent(line['low'])} to {percent(line['high'])}",
            f"{line['reviews']:,}",
            percent(line["confidence"]),
            f"{percent(line['accuracy'])} ({percent(line['accuracy_low'])} to {percent(line['accuracy_high'])})",
        )
        for line in quality["reliability"]
        if line["reviews"]
    ]
    return "\n\n".join(
        [
            f"The ECE of {quality['ece']:.4f} is {verdict} what chance explains: on {quality['reviews']:,} reviews, a "
            f"perfectly calibrated model with these probabilities has an ECE of {chance['mean']:.4f} on average, and "
            f"below {chance['high']:.4f} in 95 of 100 cases.",
            f"![Accuracy against confidence in 15 bins, with the number of reviews in each]({folder}reliability.svg)",
            table(["confidence", "#reviews", "#mean confidence", "#accuracy"], bins),
        ]
    )


def slices(quality: Json, folder: str) -> str:
    """Accuracy by length and by share of unknown words."""
    rows = [
        (kind, name(line), f"{line['reviews']:,}", interval(line, "accuracy"))
        for kind, key, name in (("words", "by_length", length_name), ("unknown words", "by_oov", oov_name))
        for line in quality[key]
    ]
    alt = "Accuracy with its interval by length of the review and by share of unknown words"
    last = length_name(quality["by_length"][-1])
    at_once, windows = quality["max_words"], quality.get("max_windows", 1)
    note = f"Of a review with {last} words, only the last {at_once:,} are read."
    if windows > 1:
        note = f"A review with {last} words is read {at_once:,} words at a time, up to its last {at_once * windows:,}."
    truncated = [note] if quality["by_length"][-1]["high"] is None else []
    return "\n\n".join([f"![{alt}]({folder}slices.svg)", table(["", "", "#reviews", "#accuracy"], rows), *truncated])


def mistakes(quality: Json) -> str:
    """The wrong decisions with the highest confidence."""
    rows = [
        (f"`{m['record_id']}`", m["label"], f"{m['probability']:.4f}", f"{m['n_tokens']:,}", ", ".join(m["words"]))
        for m in quality["mistakes"]
    ]
    return table(["review", "label", "#P(positive)", "#words", "words that contributed most to the mistake"], rows)


def faithfulness(measured: Json, folder: str) -> str:
    """What each ranking of words is worth, measured by deleting words and scoring again."""
    rows = [
        (
            RANKINGS[name],
            interval(ranking["comprehensiveness"]),
            interval(ranking["sufficiency"]),
            f"{percent(flip['median'])} ({percent(flip['low'])} to {percent(flip['high'])})",
            percent(flip["never"]),
        )
        for name, ranking in measured["rankings"].items()
        for flip in [ranking["words_to_flip"]]
    ]
    first, last = measured["shares"][:-1], measured["shares"][-1]
    shares = ", ".join(f"{100 * share:g}" for share in first) + f" and {100 * last:g}"
    return "\n\n".join(
        [
            f"Measured on {measured['reviews']:,} reviews, drawn at random. Each ranking orders the words of a review. "
            "**Comprehensiveness** is how far the probability of the decision falls when the top words are deleted "
            "and the rest is scored again (higher is better). **Sufficiency** is how far it falls when only the top "
            f"words are left (lower is better). Both are means over the top {shares} % of the words (DeYoung et al. "
            "2020). **Words to flip** is the share of words that must be deleted, from the top, until the decision "
            "changes. Intervals are 95 % bootstrap intervals.",
            table(
                ["ranking", "#comprehensiveness", "#sufficiency", "#words to flip, median", "#never flips"],
                rows,
            ),
            "Measured by comprehensiveness, contribution is worth "
            f"{interval(measured['contribution_over_attention'], digits=2)} times as much as attention.",
            f"![Comprehensiveness and sufficiency of each ranking by share of words]({folder}faithfulness.svg)",
            "Attention and contribution come with the score. Leave-one-out needs one scoring per word; integrated "
            "gradients (Sundararajan et al. 2017) need a few dozen passes per review, and their sum misses the change "
            f"of the logit by {measured['integrated_gradients_gap']['median']:.1g} (median).",
            *between_bounds(measured.get("between_bounds")),
        ]
    )


def between_bounds(measured: Json | None) -> list[str]:
    """Deletion figures that other models can be compared by, if they were measured."""
    if not measured or not measured["passages"]:
        return []
    rows = [(RANKINGS[name], interval(found, "mean")) for name, found in measured["rankings"].items()]
    return [
        "How far a probability can fall at all differs between models, so that comprehensiveness cannot be compared "
        "from one model to another. On passages, the mean fall as words are deleted one after the other can be put "
        "between the lowest and the highest that any order of the words has: 0 is the worst order, 1 the best (NAOPC, "
        f"Edin et al. 2025). {measured['passages']:,} passages of {measured['words']} words:",
        table(["ranking", "#between its bounds"], rows),
    ]


def published(measured: Json) -> str:
    """The measures that papers on attention report."""
    shares = measured["for_print"]["hidden_states_to_flip"]
    flips = ", ".join(f"{RANKINGS[name]} {interval(value, 'median')}" for name, value in shares.items())
    return (
        "Two measures, only for comparison with published figures. The share of hidden states that must be removed "
        f"until the decision flips, median (Serrano and Smith 2019): {flips}; it favours contribution by construction, "
        "since the logit is the sum of the contributions. The conicity of the hidden states (Mohankumar et al. 2020): "
        f"{interval(measured['for_print']['conicity'])}."
    )


def probe_groups(probes: Json) -> str:
    """How many expectations hold, by group."""
    held, pairs = (sum(group[key] for group in probes["groups"]) for key in ("held", "pairs"))
    rows = [(group["name"], group["pairs"], group["held"]) for group in probes["groups"]]
    return (
        "Minimal pairs of texts, a and b, written for this project. The expectation is that the decision *flips* from "
        "positive (a) to negative (b), that P(positive) *rises* or *falls* from a to b, or that it *stays* within "
        f"{STAYS_WITHIN:g}, with the same decision. The probes are for information only: no setting is chosen by them, "
        "and no release depends on them.\n\n" + table(["group", "#pairs", "#held"], [*rows, ("all", pairs, held)])
    )


def probe_pairs(probes: Json, all_of_them: bool) -> str:
    """Table of all pairs, or only of those whose expectation does not hold."""
    rows = [
        (pair["group"], pair["a"], pair["b"], pair["expectation"], f"{pair['probability_a']:.3f}",
         f"{pair['probability_b']:.3f}", *(["yes" if pair["held"] else "**no**"] if all_of_them else []))
        for pair in probes["pairs"]
        if all_of_them or not pair["held"]
    ]  # fmt: skip
    head = ["group", "a", "b", "expected", "#P(positive) of a", "#of b", *(["held"] if all_of_them else [])]
    return table(head, rows) if rows else "Every expectation holds."
