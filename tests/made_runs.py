"""Synthetic runs: complete outputs in the exact schema, without a model; 50 000 reviews take a second or two.

Each review has a mood, which decides its words and its true label; each word has an effect, and effects add up to the
logit. The corpus depends on `seed` only, the effects on `model_id` only, so runs can share either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scorer.config import Kept
from batch_scorer.formats.records import Fields, Shard
from batch_scorer.models import profile
from batch_scorer.models.json_schema import first_fault
from batch_scorer.models.network import probability
from batch_scorer.models.profile import LENGTH_EDGES, SHARE_EDGES, Profile
from batch_scorer.models.tokenizer import spans
from batch_scorer.planning.plan import Plan
from batch_scorer.runs import plan_files
from batch_scorer.runs.schemas import MANIFEST
from batch_scorer.schema import ERROR_CODES, TOKEN, Rejection, predictions_schema, rejections_table

GOOD = ("wonderful", "superb", "touching", "clever", "funny", "loved", "perfect", "warm", "gripping", "brilliant")
BAD = ("boring", "awful", "dull", "waste", "worst", "clumsy", "tedious", "hated", "cheap", "flat")
PLAIN = ("the", "a", "film", "plot", "was", "and", "it's", "of", "actor", "scene", "with", "naïve", "café", "10")
UNKNOWN = ("zyzzyva", "qwxz", "слово")  # to the synthetic model
PRODUCTS = ("kettle", "lamp", "chair", "clock", "desk")
BIAS, TEMPERATURE, MODEL_ID = -0.125, 1.25, "0123456789ab"
# Malicious texts, ids, kept values and messages. Each contains a word.
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>window.hacked = true</script>",
    '"><img src=x onerror="window.hacked = true">',
    "' onmouseover='window.hacked = true",
    "javascript:alert(document.domain)",
    "<!-- a comment --> ]]> {{ 7 * 7 }} ${7 * 7} <%= 7 %>",
    "=cmd|' /C calc'!A0",
    "line\u2028separator\u2029here",
    "\u202eright to left\u202c and a null \x00 and a bell \x07",
    "\\u003cb\\u003e \\ \" ' ` &lt;b&gt; &amp;",
    "[red]x[/red] :heart: \x1b[31mred\x1b[0m",
    "<a href='https://example.invalid/'>x</a><link rel=stylesheet href=//example.invalid/x.css>",
)


def write_run(
    output: Path,
    reviews: int,
    *,
    seed: int = 0,
    model_id: str = MODEL_ID,
    run_id: str | None = None,
    source: str = "reviews.parquet",
    id_column: str | None = "id",
    keep: Sequence[str] = (),
    kept: Mapping[str, Sequence[Any] | pa.Array] | None = None,
    hostile: bool = False,
    rejected: int = 0,
    unreadable: int = 0,
    threshold: float = 0.5,
    top_k: int = 10,
    max_words: int = 60,
    training: Profile | None = None,
    part_rows: int = 10_000,
) -> pa.Table:
    """Writes a run over synthetic reviews into `output`.

    Args:
        source: the path of the input, which is not written; `pq.write_table` of the table returned does that.
        keep: columns of the input to keep.
        kept: other columns to keep, with one value per review.
        hostile: whether the first reviews have the strings of `HOSTILE` as ids, products and beginnings of their texts,
            and rejected records have them as messages.
        rejected, unreadable: rows of `errors`, in addition to the reviews.
        training: profile of the training data; None is that of another synthetic corpus.

    Returns:
        The input: columns id, text, truth (1 or 0), stars (1 to 5) and product.
    """
    corpus = _corpus(reviews, seed, hostile)
    source_table = corpus.pop("table")
    scored = _score(corpus, model_id, threshold, top_k, max_words)
    ids = source_table["id"] if id_column else pa.array([f"{source}#{i}" for i in range(reviews)], pa.string())
    columns = {"record_id": ids, "source": pa.repeat(source, reviews), "offset": pa.array(range(reviews), pa.int64())}
    columns |= scored["columns"]
    extra = {name: source_table[name] for name in keep} | {name: pa.array(v) for name, v in (kept or {}).items()}
    kept_schema = pa.schema([pa.field(name, values.type) for name, values in extra.items()])
    plan = _plan(source, kept_schema, id_column, run_id, model_id, top_k, reviews + rejected, seed)
    columns |= extra
    columns |= {"model_id": pa.repeat(model_id, reviews), "run_id": pa.repeat(plan.run_id, reviews)}
    schema = predictions_schema(kept_schema, plan.run_id, model_id)
    rows = pa.table([columns[name] for name in schema.names], schema=schema)
    parts = [
        _part(output, f"predictions/part-{i:05d}.parquet", rows.slice(start, part_rows))
        for i, start in enumerate(range(0, reviews, part_rows))
    ]
    if rejected or unreadable:
        rejections = _rejections(source, reviews, rejected, unreadable, hostile)
        parts.insert(0, _part(output, "errors/part-00000.parquet", rejections_table(rejections, plan.run_id, model_id)))
    plan_files.write_plan(plan, [Shard(0, "parquet", (source,), 0, reviews, stamps=((0, 0.0),))], str(output))
    run_profile: Profile = scored["profile"]
    training_profile = training or _training_profile(max_words)
    manifest = {
        "schema_version": 1,
        **{"run_id": plan.run_id, "model_id": model_id, "model_name": "made", "bias": BIAS},
        **{"temperature": TEMPERATURE, "threshold": threshold, "max_words": max_words, "top_k": top_k},
        "precision": "float32",
        "counts": {
            "read": reviews + rejected, "scored": reviews, "rejected": rejected, "unreadable": unreadable,
        },
        "parts": parts,
        "inputs": list(plan.inputs),
        "notices": [],
        "warnings": profile.warnings(run_profile, training_profile),
        "not_a_success": None,
        "started": "2024-05-01T10:00:00+00:00",
        "finished": "2024-05-01T10:05:00+00:00",
        "command": ["batch-scorer", "score", source, "--output", str(output)],
        "versions": {"batch-scorer": "0"},
        "profile": {"run": run_profile.to_json(), "training": training_profile.to_json()},
        "timings": dict.fromkeys(("read", "encode", "score", "explain", "write"), 1.0),
    }  # fmt: skip
    assert first_fault(MANIFEST, manifest) is None
    (output / "manifest.json").write_text(json.dumps(manifest, indent=2))
    (output / "_SUCCESS").touch()
    return source_table


def _pieces(text: str) -> list[tuple[str, str]]:
    """`text` cut after each word: each piece, and the word it ends with; the last piece is the rest of the text."""
    starts, ends = (edges.tolist() for edges in spans(text))
    cuts = [0, *ends[:-1], len(text)]
    return [(text[cuts[i] : cuts[i + 1]], text[a:b]) for i, (a, b) in enumerate(zip(starts, ends, strict=True))]


def _corpus(reviews: int, seed: int, hostile: bool) -> dict[str, Any]:
    """The texts, as an index into a list of pieces for each word."""
    rng = np.random.default_rng(seed)
    plain = [(f"{word} ", word) for word in (*GOOD, *BAD, *PLAIN, *UNKNOWN)]
    attacks = [_pieces(f"{text} ") for text in HOSTILE] if hostile else []
    pieces = plain + [piece for attack in attacks for piece in attack]
    mood = rng.normal(0.2, 1, reviews)
    n_tokens = np.clip(np.round(rng.lognormal(3, 0.6, reviews)), 1, 200).astype(np.int64)
    for i, attack in enumerate(attacks[:reviews]):
        n_tokens[i] = max(n_tokens[i], len(attack) + 2)
    starts = np.concatenate([[0], np.cumsum(n_tokens)])
    owner = np.repeat(np.arange(reviews), n_tokens)
    kind = rng.random(len(owner))
    happy = rng.random(len(owner)) < 1 / (1 + np.exp(-1.5 * mood[owner]))
    place = rng.integers(0, len(GOOD), len(owner))
    which = np.where(happy, place, len(GOOD) + place)
    rest = len(GOOD) + len(BAD)
    which = np.where(kind > 0.25, rest + rng.integers(0, len(PLAIN), len(owner)), which)
    which = np.where(kind > 0.96, rest + len(PLAIN) + rng.integers(0, len(UNKNOWN), len(owner)), which)
    first = len(plain)
    for i, attack in enumerate(attacks[:reviews]):
        which[starts[i] : starts[i] + len(attack)] = range(first, first + len(attack))
        first += len(attack)
    strings = pa.array([piece for piece, _ in pieces], pa.string()).take(pa.array(which))
    texts = pc.binary_join(pa.ListArray.from_arrays(pa.array(starts, pa.int32()), strings), "")
    truth = (mood + rng.normal(0, 0.4, reviews) > 0).astype(np.int8)
    ids = [f"r{i:06d}" for i in range(reviews)]
    products = [PRODUCTS[i] for i in rng.integers(0, len(PRODUCTS), reviews)]
    ids[: len(attacks)] = products[: len(attacks)] = HOSTILE[: min(len(attacks), reviews)]
    stars = np.clip(np.round(3 + 1.2 * mood + rng.normal(0, 0.5, reviews)), 1, 5).astype(np.int64)
    table = pa.table({"id": ids, "text": texts, "truth": truth, "stars": stars, "product": products})
    return {"table": table, "pieces": pieces, "which": which, "starts": starts, "owner": owner, "n_tokens": n_tokens}


def _score(corpus: dict[str, Any], model_id: str, threshold: float, top_k: int, max_words: int) -> dict[str, Any]:
    """The columns of `predictions`, and the profile of the run."""
    pieces, which, starts, owner, n_tokens = (corpus[k] for k in ("pieces", "which", "starts", "owner", "n_tokens"))
    rng = np.random.default_rng(int(model_id, 16))
    effects = np.zeros(len(pieces))
    effects[: len(GOOD)], effects[len(GOOD) : len(GOOD) + len(BAD)] = 1.0, -1.0
    effects += rng.normal(0, 0.3, len(pieces)) * (effects != 0) + rng.normal(0, 0.03, len(pieces))
    used = np.minimum(n_tokens, max_words)
    position = np.arange(len(which)) - starts[owner]
    is_read = position >= (n_tokens - used)[owner]
    # The contribution of a word depends on its neighbour and its position, but not on chance.
    neighbour = np.concatenate([[0], which[:-1]])
    contribution = effects[which] * (0.75 + 0.5 * ((which * 7 + neighbour * 13 + position) % 17) / 16) * is_read
    weight = (0.05 + np.abs(contribution) + ((which * 5 + position) % 11) / 20) * is_read
    attention = weight / np.bincount(owner, weight, len(n_tokens))[owner]
    contribution, attention = contribution.astype("f4"), attention.astype("f4")
    sums = np.bincount(owner, contribution, len(n_tokens))
    logit = (BIAS + sums).astype("f4")
    p = probability(logit, TEMPERATURE)
    oov = (which >= len(GOOD) + len(BAD) + len(PLAIN)) & is_read
    oov_words = np.bincount(owner, oov, len(n_tokens)).astype(np.int64)

    lengths = np.array([len(piece) for piece, _ in pieces])
    before = np.array([piece.index(word) for piece, word in pieces])
    begin = np.cumsum(lengths[which]) - lengths[which]
    char_start = begin - begin[starts[owner]] + before[which]
    char_end = char_start + np.array([len(word) for _, word in pieces])[which]
    listed = np.minimum(used, top_k)

    def top(strength: npt.NDArray[np.floating[Any]]) -> tuple[pa.ListArray, npt.NDArray[np.intp]]:
        below = np.where(is_read, 0.9 * (1 - strength / (1 + strength)), 0.99)
        order = np.argsort(owner + below, kind="stable")
        chosen = order[np.arange(len(which)) - starts[owner] < listed[owner]]
        tokens = pa.array([word.lower() for _, word in pieces], pa.string()).take(pa.array(which[chosen]))
        ints = (pa.array(values[chosen], pa.int32()) for values in (position, char_start, char_end))
        floats = (pa.array(values[chosen]) for values in (attention, contribution))
        structs = pa.StructArray.from_arrays([tokens, *ints, *floats], fields=list(TOKEN))
        return pa.ListArray.from_arrays(pa.array(np.concatenate([[0], np.cumsum(listed)]), pa.int32()), structs), chosen

    attended, _ = top(attention.astype(np.float64))
    contributing, chosen = top(np.abs(contribution).astype(np.float64))
    rest = sums - np.bincount(owner[chosen], contribution[chosen], len(n_tokens))
    columns = {
        "probability": pa.array(p),
        "logit": pa.array(logit),
        "predicted_label": pa.array(np.where(p.astype(np.float64) >= threshold, "positive", "negative"), pa.string()),
        "n_tokens": pa.array(n_tokens, pa.int32()),
        "n_tokens_used": pa.array(used, pa.int32()),
        "truncated": pa.array(n_tokens > used),
        "oov_rate": pa.array((oov_words / used).astype("f4")),
        "top_attended": attended,
        "top_contributing": contributing,
        "rest_contribution": pa.array(rest.astype("f4")),
    }
    return {"columns": columns, "profile": profile.measure(n_tokens, used, oov_words, p)}


def _training_profile(max_words: int) -> Profile:
    corpus = _corpus(2_000, 987, hostile=False)
    training: Profile = _score(corpus, MODEL_ID, 0.5, 1, max_words)["profile"]
    assert (len(LENGTH_EDGES), len(SHARE_EDGES)) == (len(training.length), len(training.probability))
    return training


def _plan(
    source: str, kept: pa.Schema, id_column: str | None, run_id: str | None, model_id: str, top_k: int, count: int,
    seed: int,
) -> Plan:  # fmt: skip
    fields = Fields("text", id_column, tuple(Kept(name, name) for name in kept.names), kept, 1_000_000)
    digest = hashlib.sha256(json.dumps([source, model_id, count, seed]).encode()).hexdigest()
    inputs = {"input": source, "formats": {"parquet": 1}, "files": 1, "bytes": count, "fingerprint": digest}
    settings = (fields, top_k, "float32", True, None, None)
    return Plan(run_id or digest[:12], digest, model_id, *settings, 1, count, False, (inputs,), ())


def _rejections(source: str, first: int, rejected: int, unreadable: int, hostile: bool) -> list[Rejection]:
    codes = [code for code in ERROR_CODES if code != "unreadable"]
    strings = HOSTILE if hostile else ("what was wrong with it",)
    # Unevenly distributed, so that some codes are more frequent than others.
    return [
        Rejection(
            source,
            first + i,
            f"x{i}",
            codes[int((i * i) % len(codes))],
            strings[i % len(strings)],
            strings[-i % len(strings)],
        )
        for i in range(rejected)
    ] + [Rejection(source, None, None, "unreadable", strings[i % len(strings)]) for i in range(unreadable)]


def _part(output: Path, name: str, rows: pa.Table) -> dict[str, Any]:
    path = output / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path, compression="zstd", use_compliant_nested_type=True)
    return {"path": name, "rows": rows.num_rows, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
