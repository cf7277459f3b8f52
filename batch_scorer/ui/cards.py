"""Cards: a model, and a run, for people to read. Everything on them comes from the two manifests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from batch_scorer.escape import counted, safe
from batch_scorer.formats.labels import described
from batch_scorer.models.profile import FOREIGN_SHARE, LENGTH_SHIFT, Profile, grade_of, stability_index
from batch_scorer.models.scripts import LATIN
from batch_scorer.models.tokenizer_schema import SUBWORDS
from batch_scorer.models.windows import in_words
from batch_scorer.runners.result import caveats, positive_share
from batch_scorer.ui import terminal

_WORKERS_SHOWN = 8


def model_card(console: Console, directory: str, manifest: Mapping[str, Any], model_id: str) -> None:
    """A model's manifest for people to read: what it is, how good, what it was made from, and its limits."""
    a, training = manifest["architecture"], manifest["training"]
    found = manifest["metrics"].get("validation", {})
    profile = Profile.from_json(manifest["training_profile"])
    rows = [
        ("model", f"{manifest['name']} {model_id}, verified: hashes, shapes and the score of its probe text"),
        ("answers", "P(positive) of a review, and what each word contributes"),
        ("reads", f"{in_words(manifest['tokenizer'])}, in lower case; knows {a['vocabulary_size']:,} {_ids(manifest)}"),
        ("network", _network(a)),
    ]  # fmt: skip
    if found:
        held_out = f"{counted(found['reviews'], 'review')} held out of training"
        rows += [
            ("accuracy", f"{found['accuracy']:.3f} ({found['accuracy_low']:.3f} to {found['accuracy_high']:.3f} at "
                         f"95%), AUC {found['auc']:.3f}, on {held_out}"),
            ("calibration", f"probabilities are off by {found['ece']:.1%} on average (ECE); {_calibration(manifest)}"),
        ]  # fmt: skip
    else:
        rows += [
            ("accuracy", "unknown: the artefact has no validation metrics"),
            ("calibration", _calibration(manifest)),
        ]
    rows += [
        _origin(training),
        *([("labels", described(training["labels"]))] if "labels" in training else []),
        *([("those texts", _kind(profile))] if profile.reviews else []),
        ("beware", "it scores any text with confidence, even in another language or domain; a run reports how "
                   "far its texts differ from these"),
        ("made with", ", ".join(f"{name} {number}" for name, number in manifest["versions"].items())),
    ]  # fmt: skip
    terminal.card(console, directory, rows)


def _network(architecture: Mapping[str, Any]) -> str:
    """The network in words, with what is not usual about it."""
    cell = "GRU" if str(architecture.get("cell", "lstm")).startswith("gru") else "LSTM"
    unusual = [
        *(["without a mask"] if not architecture.get("masked", True) else []),
        *(["attention without a query"] if architecture.get("query") == "none" else []),
    ]
    size = f"{architecture['units']} units a direction, attention of {architecture['attention_units']}"
    return ", ".join([f"a bidirectional {cell} of {size}", *unusual])


def _origin(training: Mapping[str, Any]) -> tuple[str, str]:
    """What it was trained on, or where it was brought from."""
    digest = f"sha256 {training['data_sha256'][:12]}"
    if imported := training.get("imported"):
        keras = f", of Keras {imported['keras']}" if imported["keras"] else ""
        return "brought from", f"{imported['file']} ({digest}){keras}"
    epochs = f"epoch {training['epoch']} of {training['recipe']['epochs']}"
    return "trained on", f"{counted(training['reviews'], 'review')} ({digest}), {epochs}"


def _ids(manifest: Mapping[str, Any]) -> str:
    return "pieces and marks" if manifest["tokenizer"].get("type") == SUBWORDS else "words and marks"


def _calibration(manifest: Mapping[str, Any]) -> str:
    temperature, threshold = f"{manifest['temperature']:.3f}", f"positive from {manifest['threshold']:g}"
    if "calibration" not in manifest:
        return f"temperature {temperature}, {threshold}"
    values = [value for row in manifest["calibration"]["temperature"] for value in row]
    return f"temperature {min(values):.3f} to {max(values):.3f} by length and unknown words, {threshold}"


def _kind(profile: Profile) -> str:
    reviews = profile.reviews or 1
    return (
        f"{profile.words / reviews:,.0f} words on average, {profile.truncated / reviews:.1%} longer than it reads, "
        f"{profile.oov_words / (profile.used_words or 1):.1%} of the words unknown to it{_scripts(profile)}"
    )


def _scripts(profile: Profile) -> str:
    """The scripts of the words, where a twentieth of them is in another one than Latin."""
    shares = {name: share for name, share in profile.script_shares().items() if share >= FOREIGN_SHARE}
    if not profile.scripts or set(shares) <= {LATIN}:
        return ""
    return "; " + ", ".join(f"{share:.0%} {name}" for name, share in sorted(shares.items(), key=lambda x: -x[1]))


def run_card(console: Console, output: str, manifest: Mapping[str, Any], complete: bool) -> None:
    """A run's manifest for people to read."""
    counts, profiles = manifest["counts"], manifest["profile"]
    run, training = (Profile.from_json(profiles[name]) for name in ("run", "training"))
    read = counts["read"] or 1
    label, share = positive_share(manifest)
    reason = manifest["not_a_success"] or "there is no _SUCCESS"
    rows = [
        ("run", manifest["run_id"]),
        ("state", "complete" if complete else f"not a success: {reason}"),
        ("finished", manifest["finished"][:19].replace("T", " ") + " UTC"),
        ("model", f"{manifest['model_name']} {manifest['model_id']}"),
        ("read", f"{counts['read']:,}"),
        ("scored", f"{counts['scored']:,} ({counts['scored'] / read:.1%})"),
        ("rejected", f"{counts['rejected']:,} ({counts['rejected'] / read:.1%})"),
        *([("empty", f"{counts['empty']:,} of the rejected")] if counts.get("empty") else []),
        *([("passed over", _passed_over(manifest))] if manifest.get("passed_over") else []),
        ("unreadable", "1 file or range" if counts["unreadable"] == 1 else f"{counts['unreadable']:,} files or ranges"),
    ]
    if share is not None:
        rows += [
            (label, f"{share:.1%}"),
            *caveats(manifest),
            ("P(positive)", f"0 {terminal.bars(console, run.probability)} 1"),
            ("words", f"{run.words / run.reviews:,.0f} a review ({training.words / (training.reviews or 1):,.0f} in "
                      f"training); {run.truncated / run.reviews:.1%} of the reviews truncated to the last words"),
            ("unknown", f"{_unknown(run):.1%} of the words read ({_unknown(training):.1%} in training)"),
            ("shift", _shift(run, training)),
        ]  # fmt: skip
    total = sum(manifest["timings"].values())
    stages = ", ".join(f"{stage} {seconds / (total or 1):.0%}" for stage, seconds in manifest["timings"].items())
    rows.append(("worker time", f"{total:,.1f} s: {stages}"))
    if len(workers := manifest.get("workers", {})) > 1:  # which older versions did not count
        most = sorted(workers.values(), reverse=True)
        shown = ", ".join(f"{shards:,}" for shards in most[:_WORKERS_SHOWN])
        rows.append(("workers", f"{len(most):,}, with {shown}{' ...' if most[_WORKERS_SHOWN:] else ''} shards"))
    terminal.card(console, output, rows)


def _passed_over(manifest: Mapping[str, Any]) -> str:
    """What earlier runs had read already."""
    passed, runs = manifest["passed_over"], counted(len(manifest["after"]), "earlier run")
    records = f" and, of other files, {counted(passed['records'], 'record')}" if "records" in passed else ""
    return f"{counted(passed['files'], 'file')}{records}, which {runs} had read"


def _unknown(profile: Profile) -> float:
    return profile.oov_words / (profile.used_words or 1)


def _shift(run: Profile, training: Profile) -> str:
    pairs = {
        "scores": (run.probability, training.probability),
        "lengths": (run.length, training.length),
        "unknown words": (run.oov_rate, training.oov_rate),
    }
    found = ", ".join(f"{name} {stability_index(*pair):.2f} ({grade_of(*pair)})" for name, pair in pairs.items())
    return f"against training: {found} (stability index; large from {LENGTH_SHIFT:g})"


def next_commands(console: Console, *commands: str) -> None:
    """What to do next, as commands to copy: they are never folded."""
    console.print()
    console.print(Text("next", "bold"))
    for command in commands:
        console.print(Text(f"  {safe(command)}"))
