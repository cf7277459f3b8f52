"""Pages of an evaluation: its JSON in, Markdown out; the sections here, whole or in part, stand in the model card too.

Each section is a paragraph or more, without a heading, so that a page can choose its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from train.evaluate.probes import STAYS_WITHIN
from train.evaluate.wording import RANKINGS, interval, length_name, number, oov_name, percent, table

Found = Mapping[str, Any]


def evaluation_page(evaluation: Found) -> str:
    """`evaluation.md`, beside its figures.

    Args:
        evaluation: as `train.evaluate.run.evaluate` gives it.
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


def data_line(evaluation: Found) -> str:
    """Which reviews, and how many, the figures are of."""
    data = evaluation["data"]
    files = ", ".join(f"`{name}`" for name in data["files"])
    without = f"; {data['without_words']:,} more have no word and are not scored" if data["without_words"] else ""
    return f"{data['reviews']:,} labelled reviews of {files} (sha256 `{data['sha256'][:12]}`){without}."


def headline(quality: Found) -> list[tuple[str, str]]:
    """The figures to tell first: name and value."""
    chance = quality["ece_by_chance"]
    return [
        ("reviews", f"{quality['reviews']:,}"),
        ("accuracy, 95 % interval", interval(quality, "accuracy", 4)),
        ("AUC", number(quality["auc"], 4)),
        ("log loss (NLL), nats", number(quality["log_loss"], 4)),
        ("Brier score", number(quality["brier"], 4)),
        ("ECE, 15 bins of confidence", number(quality["ece"], 4)),
        ("ECE of perfect calibration, by chance", f"{chance['mean']:.4f}, 95 % below {chance['high']:.4f}"),
    ]


def confusion_table(quality: Found) -> str:
    """Labels against decisions."""
    rows = [(label, *(f"{n:,}" for n in line.values())) for label, line in quality["confusion"].items()]
    return table(["label", "#called negative", "#called positive"], rows)


def calibration(quality: Found, figures: str) -> str:
    """The reliability diagram, the ECE beside what chance alone gives, and the bins.

    Args:
        figures: what stands before a figure's name: `` or `directory/`.
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
            f"ECE {quality['ece']:.4f}, {verdict} what chance allows: on {quality['reviews']:,} reviews a perfectly "
            f"calibrated model with these probabilities shows {chance['mean']:.4f} on average, and less than "
            f"{chance['high']:.4f} in 95 of 100 cases.",
            f"![Accuracy against confidence in 15 bins, and how many reviews fall into each]({figures}reliability.svg)",
            table(["confidence", "#reviews", "#mean confidence", "#accuracy"], bins),
        ]
    )


def slices(quality: Found, figures: str) -> str:
    """Accuracy by length and by share of unknown words."""
    rows = [
        (kind, name(line), f"{line['reviews']:,}", interval(line, "accuracy"))
        for kind, key, name in (("words found", "by_length", length_name), ("unknown words", "by_oov", oov_name))
        for line in quality[key]
    ]
    alt = "Accuracy with its interval by length of the review and by share of unknown words"
    last = length_name(quality["by_length"][-1])
    note = f"Of the reviews of {last} words only the last {quality['max_words']:,} are read."
    truncated = [note] if quality["by_length"][-1]["high"] is None else []
    return "\n\n".join([f"![{alt}]({figures}slices.svg)", table(["", "", "#reviews", "#accuracy"], rows), *truncated])


def mistakes(quality: Found) -> str:
    """The wrong decisions that the model was surest of."""
    rows = [
        (f"`{m['record_id']}`", m["label"], f"{m['probability']:.4f}", f"{m['n_tokens']:,}", ", ".join(m["words"]))
        for m in quality["mistakes"]
    ]
    return table(["review", "label", "#P(positive)", "#words", "words that speak most for the mistake"], rows)


def faithfulness(found: Found, figures: str) -> str:
    """What each ranking of words is worth, by deleting words and scoring again."""
    rows = [
        (
            RANKINGS[name],
            interval(ranking["comprehensiveness"]),
            interval(ranking["sufficiency"]),
            f"{percent(flip['median'])} ({percent(flip['low'])} to {percent(flip['high'])})",
            percent(flip["never"]),
        )
        for name, ranking in found["rankings"].items()
        for flip in [ranking["words_to_flip"]]
    ]
    shares = ", ".join(f"{100 * share:g}" for share in found["shares"][:-1]) + f" and {100 * found['shares'][-1]:g}"
    return "\n\n".join(
        [
            f"{found['reviews']:,} reviews, drawn at random. Each ranking orders the words of a review. "
            "**Comprehensiveness** is how far the probability of the decision falls when the first words are deleted "
            "and the rest is scored again (higher is better); **sufficiency**, how far it falls when they alone are "
            f"left (lower is better); both are means over {shares} % of the words (DeYoung et al. 2020). **Words to "
            "flip** is the share of words, the first ones first, whose deletion changes the decision. Intervals are "
            "95 % bootstraps.",
            table(
                ["ranking", "#comprehensiveness", "#sufficiency", "#words to flip, median", "#never flips"],
                rows,
            ),
            f"By comprehensiveness, contribution is worth {interval(found['contribution_over_attention'], digits=2)} "
            "times what attention is.",
            f"![Comprehensiveness and sufficiency of each ranking by share of words]({figures}faithfulness.svg)",
            "Attention and contribution come with the score. Leave one out costs a scoring a word; integrated "
            "gradients (Sundararajan et al. 2017) cost some tens of passes a review, and miss the logit's change by "
            f"{found['integrated_gradients_gap']['median']:.1g} in the median.",
        ]
    )


def for_print(found: Found) -> str:
    """Figures as papers on attention give them."""
    shares = found["for_print"]["hidden_states_to_flip"]
    flips = ", ".join(f"{RANKINGS[name]} {interval(value, 'median')}" for name, value in shares.items())
    return (
        "Only to compare with print: the share of hidden states to remove until the decision flips, in the median "
        f"(Serrano and Smith 2019): {flips}. It favours contribution by construction, the logit being the sum of the "
        "contributions. Conicity of the hidden states (Mohankumar et al. 2020): "
        f"{interval(found['for_print']['conicity'])}."
    )


def probe_groups(probes: Found) -> str:
    """How many expectations hold, by group."""
    held, pairs = (sum(group[key] for group in probes["groups"]) for key in ("held", "pairs"))
    rows = [(group["name"], group["pairs"], group["held"]) for group in probes["groups"]]
    return (
        "Minimal pairs, a and b, written for this project. Expected is that the decision *flips* from positive (a) to "
        "negative (b); that P(positive) *rises* or *falls* from a to b; or that it *stays*, within "
        f"{STAYS_WITHIN:g} and with the same decision. Nothing is chosen by them and nothing gated.\n\n"
        + table(["group", "#pairs", "#held"], [*rows, ("all", pairs, held)])
    )


def probe_pairs(probes: Found, all_of_them: bool) -> str:
    """The pairs, or only those whose expectation does not hold."""
    rows = [
        (pair["group"], pair["a"], pair["b"], pair["expectation"], f"{pair['probability_a']:.3f}",
         f"{pair['probability_b']:.3f}", *(["yes" if pair["held"] else "**no**"] if all_of_them else []))
        for pair in probes["pairs"]
        if all_of_them or not pair["held"]
    ]  # fmt: skip
    head = ["group", "a", "b", "expected", "#P(positive) of a", "#of b", *(["held"] if all_of_them else [])]
    return table(head, rows) if rows else "Every expectation holds."
