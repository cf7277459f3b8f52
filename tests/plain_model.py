"""What a row has to say of a text, written out from the contract: regular expressions, NumPy and plain sorting."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import forward


def expected(model: Artifact, text: str, top_k: int) -> dict[str, Any]:
    """The row of a text that has words: logit, temperature, probability, counts, lists and the rest, in float64."""
    settings = model.manifest["tokenizer"]
    pattern = settings["pattern"]
    found = list(re.finditer(pattern, text.replace("<br />", "      ")))
    at_once, most = settings["max_words"], settings.get("max_windows", 1)
    used = found[-at_once * most :]
    ids = [_id(model, match.group(), pattern) for match in used]
    n, k = len(ids), math.ceil(len(ids) / at_once)
    logit, attention, contribution, others = 0.0, list[float](), list[float](), 0.0
    for i in range(k):
        window = ids[i * n // k : (i + 1) * n // k]
        share = len(window) / n
        answer = forward(model.tensors, model.architecture, np.array([1, *window], np.int32))
        logit += share * answer.logit
        attention += (share * answer.attention[1:]).tolist()
        contribution += (share * answer.contribution[1:]).tolist()
        others += share * answer.contribution[0]
    unknown = np.float32(sum(i == 2 for i in ids) / n)
    temperature = _temperature(model, n, float(unknown))
    words = [
        {
            **{"token": text[slice(*match.span())].lower(), "position": len(found) - n + at},
            **dict(zip(("char_start", "char_end"), match.span(), strict=True)),
            **{"attention": attention[at], "contribution": contribution[at]},
        }
        for at, match in enumerate(used)
    ]
    by_contribution = sorted(words, key=lambda w: (-abs(np.float32(w["contribution"])), w["position"]))
    return {
        "logit": logit,
        "temperature": temperature,
        "probability": 1 / (1 + math.exp(-logit / temperature)),
        "n_tokens": len(found),
        "n_tokens_used": n,
        "truncated": n < len(found),
        "oov_rate": float(unknown),
        "top_attended": sorted(words, key=lambda w: (-np.float32(w["attention"]), w["position"]))[:top_k],
        "top_contributing": by_contribution[:top_k],
        "rest_contribution": others + math.fsum(w["contribution"] for w in by_contribution[top_k:]),
    }


def _id(model: Artifact, word: str, pattern: str) -> int:
    word = word.lower()
    if "\u2019" in pattern:
        word = word.replace("\u2019", "'")
    if word in model.aliases:
        return model.aliases[word]
    return model.vocabulary.index(word) if word in model.vocabulary[3:] else 2


def _temperature(model: Artifact, n_used: int, unknown: float) -> float:
    grid = model.manifest.get("calibration")
    if grid is None:
        return float(model.manifest["temperature"])
    row = sum(n_used >= edge for edge in grid["words"]) - 1
    column = sum(unknown >= edge for edge in grid["oov_rate"]) - 1
    return float(np.float32(grid["temperature"][max(row, 0)][max(column, 0)]))
