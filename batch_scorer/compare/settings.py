"""Two finished runs -> the settings and inputs that may explain why they differ."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from batch_scorer.models.splitting import Splitting
from batch_scorer.models.tokenizer import APOSTROPHES, Rule
from batch_scorer.models.units import PIECES
from batch_scorer.runs.finished import Run


@dataclass(frozen=True)
class Setting:
    """A setting or an input that may explain why two runs differ: its value in each, as text."""

    name: str
    a: str
    b: str


_WORDS = {APOSTROPHES: "typographic apostrophes belong to words", PIECES: "of any script, each in pieces"}


def compare_settings(a: Run, b: Run) -> tuple[Setting, ...]:
    """The settings and inputs of both runs."""

    def settings(run: Run) -> Mapping[str, str]:
        m = run.manifest
        fingerprints = sorted(source["fingerprint"] for source in m["inputs"])  # of paths, sizes and dates
        fingerprint = fingerprints[0]
        if len(fingerprints) > 1:
            fingerprint = hashlib.sha256("".join(fingerprints).encode()).hexdigest()
        names = ", ".join(source["input"] for source in m["inputs"])
        return {
            "model": f"{m['model_name']} {m['model_id']}",
            "inputs": f"{names} {fingerprint[:12]}",
            **{name: f"{m[name]}" for name in ("top_k", "max_words", "precision")},
            "max_windows": f"{m.get('max_windows', 1)}",
            "words": _words(run.pattern),
            "threshold": f"{m['threshold']:.6g}",
            "temperature": f"{m['temperature']:.6g}{' (median)' if 'temperature' in run.columns else ''}",
        }

    settings_b = settings(b)
    return tuple(Setting(name, value, settings_b[name]) for name, value in settings(a).items())


def _words(rule: Rule) -> str:
    """What a word is to a model, in words."""
    if isinstance(rule, Splitting):
        return f"what stands between {rule.separators!r:.80}"
    return _WORDS.get(rule, "letters, digits, ' and _")
