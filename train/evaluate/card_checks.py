"""The section of the model card on what `python -m train check` measures, in plain words and with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from train.evaluate.wording import interval, number, percent, table
from train.metrics import wilson_interval

Json = Mapping[str, Any]

KINDS = {
    "plain": "plain praise and blame",
    "negation": "negation beside its word",
    "far": "negation with words between",
    "change": "changes of mind",
    "question": "questions, answered yes or no",
    "identity": "praise and blame with people in it",
    "facts": "complaints and thanks without a word of opinion",
}
CLASSES = {
    "origins": "nationalities and origins",
    "religions": "religions",
    "orientations": "orientations",
    "first_names": "first names",
}

RANKED = {
    "contribution": "contribution",
    "attention": "attention",
    "contribution_smoothed": "contribution, smoothed",
    "attention_smoothed": "attention, smoothed",
    "phrases": "contribution, by phrases",
    "attention_phrases": "attention, by phrases",
    "random": "random",
}


def section(checks: Json) -> str:
    """The paragraphs and tables, as far as there are figures for them.

    Args:
        checks: what `train.evaluate.checks.command.measure` returns.
    """
    writers = {
        "pairs": _pairs,
        "grammar": _sentences,
        "swaps": _swaps,
        "domains": _domains,
        "long_reviews": _long_reviews,
        "rationales": _rationales,
        "phrases": _phrases,
    }
    parts = [
        "Measured by `python -m train check`, on texts that the model was neither trained on nor chosen by. Intervals "
        "are 95 % intervals."
    ]
    for name, write in writers.items():
        if checks.get(name):
            parts += write(checks[name])
    return "\n\n".join(parts)


def command(checks: Json) -> str:
    """The command that writes the figures."""
    domains = "".join(f" --domain {name}={name}.parquet" for name in checks.get("domains", {}))
    phrases = " --phrases imdb_test_open.parquet" if checks.get("phrases") else ""
    return (
        f"python -m train check model --counterfactual cad_train.parquet{domains} --long imdb_test_open.parquet "
        f"--rationales rationales_val.parquet{phrases} --output docs/model_card/checks.json"
    )


def _pairs(found: Json) -> list[str]:
    rows = [("originals", "originals"), ("rewritten", "rewritten"), ("both of a pair", "both")]
    return [
        "**Rewritten reviews.** People turned each review to the opposite sentiment with as few changes as possible "
        "(Kaushik et al. 2020). The originals are from the training split: a model has seen them, unless it was "
        "trained with `--counterfactual-holdout`.",
        table(["", "#count", "#right"], [(name, f"{found[key]['count']:,}", _share(found[key])) for name, key in rows]),
    ]


def _sentences(found: Json) -> list[str]:
    rows = [(KINDS[kind], f"{line['count']:,}", _share(line)) for kind, line in found.items()]
    return [
        "**Short sentences**, made by grammar from frames and words that training does not use.",
        table(["kind", "#sentences", "#right"], rows),
    ]


def _share(found: Json) -> str:
    """A share with its interval, or a dash where nothing was counted."""
    return "-" if found["share"] is None else f"{found['share']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def _swaps(swaps: Json) -> list[str]:
    rows = []
    for name, found in swaps.items():
        tied, flipped, sets = found["tied"], found["all"]["flipped"], found["sets"]
        low, high = wilson_interval(flipped, sets)
        inside = f"{tied['flipped']}, {tied['largest_difference']:.3g}"
        rows.append((CLASSES[name], sets, inside, f"{flipped / sets:.3f} ({low:.3f} to {high:.3f})"))
    tied_head = "#of the members that can be tied: labels that differ, largest difference of logits"
    return [
        "**Other people in the same sentence.** How often the label differs between any two members of a class. "
        "Members that are tied are one word to the model. Those of several words or with another meaning are not.",
        table(["class", "#sentences", tied_head, "#of all members: share of sentences whose label differs"], rows),
    ]


def _domains(found: Json) -> list[str]:
    rows = [
        (
            name,
            f"{line['texts']:,}",
            percent(line["positive"]),
            interval(line, "balanced_accuracy"),
            interval(line, "auc"),
            number(line["ece"]),
            number(line["log_loss"]),
        )
        for name, line in found.items()
    ]
    return [
        "**Other texts**, no label of which was trained on.",
        table(["texts", "#count", "#positive", "#balanced accuracy", "#AUC", "#ECE", "#log loss"], rows),
    ]


def _long_reviews(found: Json) -> list[str]:
    if not found["reviews"]:
        return []
    whole, last, gain = found["windows"], found["last"], found["log_loss_gain"]
    title = f"**Long reviews**, {found['reviews']:,} that do not fit into one window."
    if whole == last:
        return [f"{title} This model reads the last window only: its accuracy is {interval(whole, 'accuracy')}."]
    return [
        f"{title} Read in windows, accuracy is {interval(whole, 'accuracy')} and log loss {number(whole['log_loss'])}; "
        f"by the last window alone, {interval(last, 'accuracy')} and {number(last['log_loss'])}. Windows save "
        f"{gain['mean']:.3f} ({gain['low']:.3f} to {gain['high']:.3f}) of log loss."
    ]


def _rationales(found: Json) -> list[str]:
    if not found["documents"]:
        return []
    measured = found["intervals"]
    rows = [(name, interval(measured[key], "mean")) for key, name in RANKED.items() if key in measured]
    differences = found["differences"]
    by_phrases = f" {_verdict(differences['phrases'], ', both by phrases')}" if "phrases" in differences else ""
    return [
        f"**Passages that people marked as the reason**, in {found['documents']:,} reviews (DeYoung et al. 2020): the "
        f"mean average precision with which a ranking of words finds them. {percent(found['unread'])} of the marked "
        "words are not read. *Smoothed* is averaged over neighbours, since people mark phrases; *by phrases* takes "
        "the words of one phrase after another.",
        table(["ranking", "#average precision"], rows),
        f"{_verdict(differences['plain'], '')} {_verdict(differences['smoothed'], ', both smoothed')}{by_phrases}",
    ]


def _phrases(found: Json) -> list[str]:
    rows = [
        (
            count,
            number(one["words"], 1),
            *(interval(one[key], "mean") for key in ("phrases", "same_words")),
            number(one["ratio"], 2),
        )
        for count, one in found.items()
        if count != "reviews"
    ]
    return [
        f"**Phrases**, deleted from {found['reviews']:,} reviews: how far the probability of the decision falls "
        "without the phrases that say most for it, and without as many of the words that `top_contributing` has first.",
        table(["phrases", "#words", "#fall", "#without as many words", "#ratio"], rows),
    ]


def _verdict(difference: Json, smoothed: str) -> str:
    """Which of the two agrees better with people, in plain words."""
    ends = f"{difference['low']:.3f} to {difference['high']:.3f}"
    figures = f"contribution less attention is {difference['mean']:.3f} ({ends})"
    if difference["low"] > 0:
        return f"Contribution agrees better with people than attention{smoothed}: {figures}."
    if difference["high"] < 0:
        return f"Attention agrees better with people than contribution{smoothed}: {figures}."
    return f"Which of them agrees better with people cannot be told{smoothed}: {figures}."
