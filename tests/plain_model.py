"""What a row has to say of a text, written out from the contract: regular expressions, NumPy and plain sorting."""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from typing import Any

import numpy as np

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import forward


def expected(model: Artifact, text: str, top_k: int) -> dict[str, Any]:
    """The row of a text that has words: logit, temperature, probability, counts, lists and the rest, in float64."""
    settings = model.manifest["tokenizer"]
    found = units(model, text) if settings.get("type") == "subwords" else words(model, text)
    at_once, most = settings["max_words"], settings.get("max_windows", 1)
    windows = cut([len(ids) for _, ids in found], at_once, most)
    used = found[windows[0][0] :]
    n, n_ids = len(used), sum(len(ids) for _, ids in used)
    logit, attention, contribution, others = 0.0, list[float](), list[float](), 0.0
    for start, stop in windows:
        ids = [i for _, pieces in found[start:stop] for i in pieces]
        share = len(ids) / n_ids
        answer = forward(model.tensors, model.architecture, np.array([1, *ids], np.int32))
        logit += share * answer.logit
        at = 1
        for _, pieces in found[start:stop]:
            attention.append(share * sum(answer.attention[at : at + len(pieces)].tolist()))
            contribution.append(share * sum(answer.contribution[at : at + len(pieces)].tolist()))
            at += len(pieces)
        others += share * answer.contribution[0]
    unknown = np.float32(sum(i == 2 for _, ids in used for i in ids) / n_ids)
    temperature = _temperature(model, n_ids, float(unknown))
    listed = [
        {
            **{"token": text[slice(*span)].lower(), "position": len(found) - n + at},
            **dict(zip(("char_start", "char_end"), span, strict=True)),
            **{"attention": attention[at], "contribution": contribution[at]},
        }
        for at, (span, _) in enumerate(used)
    ]
    by_contribution = sorted(listed, key=lambda w: (-abs(np.float32(w["contribution"])), w["position"]))
    return {
        "logit": logit,
        "temperature": temperature,
        "probability": 1 / (1 + math.exp(-logit / temperature)),
        "n_tokens": len(found),
        "n_tokens_used": n,
        "truncated": n < len(found),
        "oov_rate": float(unknown),
        "top_attended": sorted(listed, key=lambda w: (-np.float32(w["attention"]), w["position"]))[:top_k],
        "top_contributing": by_contribution[:top_k],
        "rest_contribution": others + math.fsum(w["contribution"] for w in by_contribution[top_k:]),
    }


def words(model: Artifact, text: str) -> list[tuple[tuple[int, int], list[int]]]:
    """Where each word stands, and its id."""
    pattern = model.manifest["tokenizer"]["pattern"]
    found = re.finditer(pattern, text.replace("<br />", "      "))
    return [(match.span(), [_id(model, match.group(), pattern)]) for match in found]


def units(model: Artifact, text: str) -> list[tuple[tuple[int, int], list[int]]]:
    """Where each word stands, or each piece in a script without blanks, and its ids."""
    out = []
    for match in re.finditer(model.manifest["tokenizer"]["pattern"], text.replace("<br />", "      ")):
        word, start = match.group(), match.start()
        if not re.match(r"[\u0e00-\u0eff\u3005-\u30ff\u4e00-\u9fff]", word):
            out.append((match.span(), _pieces(model, word)))
            continue
        # Nothing in the tests' texts composes in such a script but a letter and the mark U+3099 after it.
        shorter = unicodedata.normalize("NFC", word)
        places = [at for at, letter in enumerate(word) if letter != "\u3099"] if shorter != word else range(len(word))
        edges, at = list[int](), 0
        for value, _ in _best(model, shorter):
            if not edges or not re.match(r"[\u0e30-\u0e3a\u0e47-\u0e4eー]", value):
                edges.append(at)
            at += len(value)
        for first, last in zip(edges, [*edges[1:], len(shorter)], strict=True):
            a, b = places[first], places[last] if last < len(shorter) else len(word)
            out.append(((start + a, start + b), _pieces(model, word[a:b], is_run=True)))
    return out


def _pieces(model: Artifact, word: str, is_run: bool = False) -> list[int]:
    word = unicodedata.normalize("NFC", word.lower().replace("\u2019", "'"))
    if word in model.aliases:
        return [model.aliases[word]]
    found = [i for value, i in _best(model, word if is_run else f"\u2581{word}") if value != "\u2581"]
    return found[: model.manifest["tokenizer"]["max_words"]]


def _best(model: Artifact, word: str) -> list[tuple[str, int]]:
    """The most probable pieces of a word; letters in a row that are in none are one unknown piece."""
    scores = dict(zip(model.vocabulary, model.scores or (), strict=True))
    worst = min(scores.values()) - 10
    best: list[tuple[float, list[str]]] = [(0.0, [])]
    for end in range(1, len(word) + 1):
        options = [
            (best[a][0] + scores[word[a:end]], [*best[a][1], word[a:end]]) for a in range(end) if word[a:end] in scores
        ]
        if word[end - 1] not in scores:
            options.append((best[end - 1][0] + worst, [*best[end - 1][1], word[end - 1]]))
        best.append(max(options, key=lambda option: option[0]))
    out: list[tuple[str, int]] = []
    for value in best[-1][1]:
        i = model.vocabulary.index(value) if value in scores else 2
        if i == 2 and out and out[-1][1] == 2:
            out[-1] = (out[-1][0] + value, 2)
        else:
            out.append((value, i))
    return out


def cut(sizes: list[int], at_once: int, most: int) -> list[tuple[int, int]]:
    """Windows of whole words: as few as hold them, as even as they can be without one that is too long."""
    filled, end = list[tuple[int, int]](), len(sizes)
    while end and len(filled) < most:
        start = end
        while start and sum(sizes[start - 1 : end]) <= at_once:
            start -= 1
        filled.insert(0, (start, end))
        end = start
    k, total = len(filled), sum(sizes[end:])
    cuts = [max(at for at in range(end, len(sizes) + 1) if sum(sizes[end:at]) <= i * total // k) for i in range(k + 1)]
    even = list(itertools.pairwise(cuts))
    return even if all(0 < sum(sizes[a:b]) <= at_once for a, b in even) else filled


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


def segments(row: dict[str, Any], new_sentence: list[bool], new_clause: list[bool], spans: int) -> dict[str, Any]:
    """The columns of sentences and phrases, of a row by `expected` that lists every word.

    Args:
        new_sentence, new_clause: whether they begin with each word that is read.
    """
    words = sorted(row["top_contributing"], key=lambda word: word["position"])
    values = [word["contribution"] for word in words]
    begins = [at for at, new in enumerate(new_sentence) if new]
    sentences = [_segment(words[a:b]) for a, b in itertools.pairwise([*begins, len(words)])]
    found = [_segment(words[a:b]) for a, b in plain_phrases(values, new_clause)]
    top = sorted(found, key=lambda s: (-abs(np.float32(s["contribution"])), s["position"]))[:spans]
    inside = {at for s in top for at in range(s["position"], s["position"] + s["n_words"])}
    others = math.fsum(word["contribution"] for word in words if word["position"] not in inside)
    return {
        "sentences": sentences,
        "start_contribution": row["rest_contribution"],
        "top_spans": top,
        "spans_rest": others + row["rest_contribution"],
    }


def _segment(words: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        **{"char_start": words[0]["char_start"], "char_end": words[-1]["char_end"]},
        **{"position": words[0]["position"], "n_words": len(words)},
        **{name: math.fsum(word[name] for word in words) for name in ("contribution", "attention")},
    }


def plain_phrases(values: list[float], new_clause: list[bool]) -> list[tuple[int, int]]:
    """Peaks of the smoothed values between clauses, changes of sign and valleys, less what adds little at the ends."""
    n = len(values)
    weights = [[math.exp(-0.5 * ((i - j) / 1.25) ** 2) if abs(i - j) <= 5 else 0.0 for j in range(n)] for i in range(n)]
    smooth = [sum(w * v for w, v in zip(row, values, strict=True)) / sum(row) for row in weights]
    strength = [abs(value) for value in smooth]
    faintest, least, pieces = 0.75 * sum(strength) / n, 0.25 * sum(map(abs, values)) / n, list[list[int]]()
    for i in range(n):
        is_valley = 0 < i < n - 1 and strength[i] < strength[i - 1] and strength[i] <= strength[i + 1]
        if i == 0 or new_clause[i] or is_valley or (smooth[i] >= 0) != (smooth[i - 1] >= 0):
            pieces.append([])
        if strength[i] >= faintest and (values[i] if smooth[i] >= 0 else -values[i]) > least:
            pieces[-1].append(i)
    return [(piece[0], piece[-1] + 1) for piece in pieces if piece]
