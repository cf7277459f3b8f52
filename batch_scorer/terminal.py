"""What a person sees in the terminal: a plan, the summary of a run, a model's card.

All that comes from data passes through `safe`, and is printed as `Text`, in which rich looks for no markup.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batch_scorer import storage
from batch_scorer.artifact import Artifact
from batch_scorer.config import ScoreConfig
from batch_scorer.escape import safe
from batch_scorer.estimate import VCPU_SHARE, DataflowEstimate, Estimate
from batch_scorer.plan import Plan

if TYPE_CHECKING:
    from batch_scorer.dataflow import Pool


def console() -> Console:
    """Standard output, as a terminal of any width, on which `[red]` and `:heart:` in a name are a name.

    Where its encoding lacks a letter, a question mark stands for it.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return Console(stderr=False, soft_wrap=True, markup=False, emoji=False, highlight=False)


def summary(console: Console, output: str, manifest: Mapping[str, Any], seconds: float) -> None:
    """What a run did, where it is, and what to do next."""
    counts = manifest["counts"]
    rate = counts["scored"] / seconds if seconds else 0.0
    console.print(
        Text.assemble(
            (f"{counts['scored']:,} reviews scored", "bold"),
            f" in {seconds:,.1f} s ({rate:,.0f}/s), ",
            f"{counts['rejected']:,} rejected, {counts['unreadable']:,} unreadable",
        )
    )
    notes(console, manifest)
    console.print(Text(f"  predictions  {safe(storage.join(output, 'predictions', '*.parquet'))}"))
    if counts["rejected"] or counts["unreadable"]:
        console.print(Text(f"  errors       {safe(storage.join(output, 'errors', '*.parquet'))}"))
    console.print(Text(f"  next         batch-scorer inspect {safe(output)}"))


def notes(console: Console, manifest: Mapping[str, Any]) -> None:
    """Warnings and notices of a run."""
    for warning in manifest.get("warnings", ()):
        console.print(Text.assemble(("warning", "bold yellow"), " ", safe(warning)))
    for notice in manifest["notices"]:
        console.print(Text.assemble(("notice", "yellow"), " ", safe(notice)))


def plan_line(plan: Plan, model: Artifact) -> str:
    """The plan in one line."""
    about = "about " if plan.estimated else ""
    shards = "shard" if plan.shard_count == 1 else "shards"
    name = safe(model.manifest["name"])
    return f"{about}{plan.reviews:,} reviews in {plan.shard_count:,} {shards}; model {name} {model.model_id}"


def plan_card(console: Console, config: ScoreConfig, plan: Plan) -> None:
    """What a run would read and where it would write."""
    rows = []
    for found in plan.inputs:
        formats = ", ".join(f"{count:,} {name}" for name, count in found["formats"].items())
        rows.append(("input", f"{found['input']}  {formats}, {found['bytes'] / 1e6:,.1f} MB"))
    rows += [("notice", notice) for notice in plan.notices]
    kept = ", ".join(
        f"{kept.name} as {field.name} ({field.type})"
        for kept, field in zip(plan.fields.kept, plan.fields.kept_schema, strict=True)
    )
    rows += [
        ("text", plan.fields.text),
        ("id", plan.fields.id or "source#offset"),
        ("kept", kept or "nothing"),
        ("output", config.output),
    ]
    _card(console, "plan", rows)


def estimate_line(console: Console, estimate: Estimate) -> None:
    """How long a run would take."""
    processes = "process" if estimate.processes == 1 else "processes"
    console.print(
        f"about {_duration(estimate.total_s)} on this machine: {estimate.start_s:,.0f} s to start, then "
        f"{estimate.reviews_per_s:,.0f} reviews/s in {estimate.processes} {processes}",
        highlight=False,
    )


def estimate_on_dataflow(console: Console, pool: Pool, estimate: DataflowEstimate) -> None:
    """How long a run on Dataflow would take, what it would cost, and what that takes for granted."""
    workers, vcpus = pool.workers_max, pool.workers_max * pool.vcpus_each
    cost = "" if estimate.cost is None else f", {estimate.cost:,.2f} at the given price"
    console.print(
        f"about {_duration(estimate.total_s)} on Dataflow: {workers:,} {safe(pool.machine)} "
        f"{'worker' if workers == 1 else 'workers'}, {vcpus:,} vCPUs; {estimate.vcpu_hours:,.1f} vCPU-hours{cost}",
        highlight=False,
    )
    console.print(
        f"  assumed: a vCPU, which is a hyperthread, does {VCPU_SHARE:.0%} of what a process does here "
        f"({estimate.here_per_s:,.0f} reviews/s), and workers take {_duration(estimate.start_s)} to start",
        highlight=False,
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def run_card(console: Console, output: str, manifest: Mapping[str, Any], complete: bool) -> None:
    """The manifest of a run, for reading."""
    counts, run = manifest["counts"], manifest["profile"]["run"]
    read = counts["read"] or 1
    scored = run["reviews"] or 1
    positive = sum(
        n for edge, n in zip(run["probability"]["from"], run["probability"]["reviews"], strict=True) if edge >= 0.5
    )
    rows = [
        ("run", manifest["run_id"]),
        ("state", "complete" if complete else f"not a success: {manifest['not_a_success'] or 'unfinished'}"),
        ("model", f"{manifest['model_name']} {manifest['model_id']}"),
        ("read", f"{counts['read']:,}"),
        ("scored", f"{counts['scored']:,} ({counts['scored'] / read:.1%})"),
        ("rejected", f"{counts['rejected']:,} ({counts['rejected'] / read:.1%})"),
        ("unreadable", f"{counts['unreadable']:,} files or ranges"),
        ("P >= 0.5", f"{positive / scored:.1%} of the reviews"),
        ("words", f"{run['words'] / scored:,.0f} a review; {run['truncated'] / scored:.1%} of the reviews truncated"),
        ("unknown", f"{run['oov_words'] / (run['used_words'] or 1):.2%} of the words read"),
        ("worker time", ", ".join(f"{stage} {seconds:,.1f} s" for stage, seconds in manifest["timings"].items())),
        ("finished", manifest["finished"][:19].replace("T", " ") + " UTC"),
    ]
    _card(console, output, rows)


def model_card(console: Console, directory: str, manifest: Mapping[str, Any], model_id: str) -> None:
    """The manifest of a model, for reading."""
    a, training = manifest["architecture"], manifest["training"]
    found = manifest["metrics"].get("validation", {})
    rows = [
        ("model", f"{manifest['name']} {model_id}"),
        ("network", f"{a['units']} LSTM units a direction, {a['attention_units']} attention units, "
                    f"{a['vocabulary_size']:,} ids, the last {manifest['tokenizer']['max_words']} words"),
        ("calibration", f"temperature {manifest['temperature']:.3f}, threshold {manifest['threshold']:g}"),
        ("trained on", f"{training['reviews']:,} reviews, epoch {training['epoch']} of {training['recipe']['epochs']}"),
        ("data sha256", training["data_sha256"][:12]),
    ]  # fmt: skip
    if found:
        rows.append((
            "validation",
            f"accuracy {found['accuracy']:.3f} ({found['accuracy_low']:.3f} to {found['accuracy_high']:.3f}), "
            f"AUC {found['auc']:.3f}, ECE {found['ece']:.3f}, on {found['reviews']:,} reviews",
        ))  # fmt: skip
    rows.append(("made with", ", ".join(f"{name} {number}" for name, number in manifest["versions"].items())))
    _card(console, directory, rows)


def _card(console: Console, title: str, rows: list[tuple[str, str]]) -> None:
    table = Table(title=Text(safe(title), "bold"), show_header=False, box=None, title_justify="left")
    table.add_column(style="dim")
    table.add_column()
    for name, value in rows:
        table.add_row(name, Text(safe(value)))
    console.print(table)


def results(console: Console, rows: list[dict[str, Any]], title: str) -> None:
    """Some predictions: id, score, and the words that weighed most, coloured by their sign."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None)
    for name, justify in (("record_id", "left"), ("label", "left"), ("P(positive)", "right")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("words that weighed most")
    for row in rows:
        words = Text(" ").join(_word(token) for token in row["top_contributing"][:4])
        label = Text(safe(row["predicted_label"], 20), "green" if row["predicted_label"] == "positive" else "red")
        identity = Text(safe(row["record_id"], 28, keep_end=True))
        table.add_row(identity, label, f"{row['probability']:.3f}", words)
    console.print(table)


def _word(token: Mapping[str, Any]) -> Text:
    colour = "green" if token["contribution"] >= 0 else "red"
    return Text.assemble((safe(token["token"], 20), colour), f" {token['contribution']:+.2f}")


def error_counts(console: Console, counts: Mapping[tuple[str, str], int]) -> None:
    """Rejected records by stage and code."""
    table = Table(title="rejected", title_justify="left", title_style="bold", box=None)
    for name in ("stage", "code", "records"):
        table.add_column(name, justify="right" if name == "records" else "left")
    for (stage, code), count in sorted(counts.items()):
        table.add_row(Text(safe(stage)), Text(safe(code)), f"{count:,}")
    console.print(table)
