"""The loaders under fuzzing: a plan's pieces, a shard's marker, a model artefact; each as it was written, or refused.

The first bytes of an input say which file is meant and how; the rest is its content.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console

from batch_scorer.errors import ArtifactError
from batch_scorer.formats.records import Fields, Member, Shard
from batch_scorer.models import artifact
from batch_scorer.models.profile import measure
from batch_scorer.planning.plan import Plan
from batch_scorer.runs import layout, markers, plan_files
from batch_scorer.runs.markers import STAGES, Counts, Summary
from batch_scorer.scoring.write import Part
from batch_scorer.ui import cards
from tests.conftest import SUBWORDS, save_tiny
from tests.fuzz.mutate import mutated, mutated_json, to_json
from tests.fuzz.oracle import holds

FILES = ("MODEL_ID", "manifest.json", "vocabulary.txt", "weights.safetensors", "aliases.txt", "scores.txt")
SHARDS = (
    Shard(0, "parquet", ("a/b.parquet",), 0, 1_000, 0, 0, (("year", "2024"), ("k", None)), stamps=((9, 1.5),)),
    Shard(1, "jsonl", ("x\u2028\n.jsonl",), 5, 10, stamps=((10, 2.0),)),
    Shard(2, "files", ("1.txt", "caf\udce9.txt"), max_records=7, stamps=((1, 1.0), (2, 2.0))),
    Shard(3, "csv", ("y.csv",), damage="cut short", stamps=((0, 0.0),)),
    Shard(
        4,
        "csv",
        ("a.csv", "b.csv", "c=1/d.parquet", "e.xlsx"),
        stamps=((1, 1.0),) * 4,
        members=(Member(2, "csv"), Member(1, "parquet", (3, 0, 1), (("c", "1"),)), Member(1, "xlsx", damage="cut")),
    ),
)


def plan_of(shards: int = len(SHARDS)) -> Plan:
    """A plan that is in no file."""
    fields = Fields("text", None, (), pa.schema([]), 1_000_000)
    sample: dict[str, Any] = {
        "run_id": "r" * 12,
        "plan_hash": "a" * 64,
        "model_id": "0" * 12,
        "fields": fields,
        "top_k": 10,
        "precision": "float32",
        "shard_count": shards,
        "reviews": 7,
    }
    rest = {field.name: () if field.name in ("inputs", "notices") else None for field in dataclasses.fields(Plan)}
    return Plan(**{**rest, **sample})


def seed_plan(rng: Random) -> bytes:
    """The piece of a plan, some of its lines changed as JSON or as bytes."""
    lines = [shard.to_json().encode() for shard in SHARDS]
    if rng.random() < 0.6:
        at = rng.randrange(len(lines))
        lines[at] = to_json(mutated_json(json.loads(lines[at]), rng))
    piece = b"".join(line + b"\n" for line in lines)
    return mutated(piece, rng, lambda: piece) if rng.random() < 0.5 else piece


def check_plan(data: bytes, scratch: Path) -> None:
    """A piece of the plan is read as what it says, line by line, or refused; never as fewer shards."""
    out = scratch / "planned"
    (out / "plan").mkdir(parents=True, exist_ok=True)
    (out / "plan" / "00000.jsonl").write_bytes(data)
    try:
        found = list(plan_files.read_shards(str(out), len(SHARDS)))
    except (ValueError, LookupError, TypeError, OSError, RecursionError, AttributeError):
        return  # the job ends with this error; --resume writes the plan again and continues
    holds(len(found) == len(SHARDS), "fewer or more shards than were planned", found)
    for shard in found:
        holds(Shard.from_json(shard.to_json()) == shard, "a shard that does not survive being written", shard)


@cache
def marked(scratch: Path) -> bytes:
    """A shard that is done, two parts and its marker, in the output `scratch`/marked; returns the marker."""
    out = scratch / "marked"
    parts = []
    for name in ("predictions/part-00000.parquet", "errors/part-00000.parquet"):
        (out / name).parent.mkdir(parents=True)
        (out / name).write_bytes(name.encode())
        parts.append(Part(name, 3, hashlib.sha256(name.encode()).hexdigest()))
    three = np.full(3, 5, np.int32)
    profile = measure(three, three, three, np.array([0.1, 0.5, 0.9]))
    timings = dict.fromkeys(STAGES, 0.5)
    summary = Summary(1, Counts(6, 3, 3, 0), tuple(parts), profile, timings)
    markers.write_marker(summary, 0, plan_of(1), str(out))
    return Path(layout.marker_path(str(out), 0)).read_bytes()


def seed_marker(rng: Random) -> bytes:
    """A marker like the true one, as bytes or as JSON changed; b"{}" stands for the true one."""
    return rng.choice((b"json", b"byte", b"true")) + rng.randbytes(8)


def check_marker(data: bytes, scratch: Path) -> None:
    """A damaged marker is ignored; one that is accepted can be summed up and has the counts that were written."""
    true = marked(scratch)
    rng = Random(data)
    if data.startswith(b"json"):
        content = to_json(mutated_json(json.loads(true), rng)) + b"\n"
    elif data.startswith(b"byte"):
        content = mutated(true, rng, lambda: true)
    else:
        content = true if data.startswith(b"true") else data
    out = str(scratch / "marked")
    Path(layout.marker_path(out, 0)).write_bytes(content)
    found = markers.finished_shard(0, plan_of(1), out)
    if found is None:
        holds(content != true, "the true marker is refused", content)
        return
    total = markers.Total().add(found).add(found)
    holds(total.shards == 2, "a sum of two", total)
    expected = _summary(true)
    holds(_summary(content) == expected or content == true, "another marker than was written is trusted", content)
    holds(found.counts == Counts(**json.loads(true)["counts"]), "other counts than were written", found.counts)


def _summary(marker: bytes) -> Any:
    document = json.loads(marker)
    return {name: document[name] for name in ("shard", "counts", "parts", "profile", "timings")}


@cache
def model(scratch: Path) -> dict[str, bytes]:
    """The files of the tiny model of pieces of words, which has all that a model may have."""
    folder = save_tiny(scratch / "true", **SUBWORDS)
    return {name: (folder / name).read_bytes() for name in FILES}


def seed_artifact(rng: Random) -> bytes:
    """Which file, whether the hashes are made to fit again, and how it is changed."""
    return bytes((rng.randrange(len(FILES)), rng.randrange(2), rng.randrange(4))) + rng.randbytes(8)


def check_artifact(data: bytes, scratch: Path) -> None:
    """A model with a changed file is refused as an `ArtifactError`; where the hashes fit, it may be another model."""
    files = dict(model(scratch))
    name, resealed, how = FILES[data[0] % len(FILES) if data else 0], data[1:2] > b"\0" and data[1] % 2 == 1, data[2:3]
    true, rng = files[name], Random(data)
    if len(data) > 11:
        files[name] = data[11:]  # found by whoever looks for new ways through the code
    elif how == b"\1" and name == "manifest.json":
        files[name] = to_json(mutated_json(json.loads(true), rng))
    elif how in (b"\1", b"\2") and name == "weights.safetensors":
        files[name] = _other_header(true, rng)
    elif how != b"\3":
        files[name] = mutated(true, rng, lambda: true)
    changed = files[name] != true
    if resealed:
        files |= _sealed(files)
    folder = scratch / "changed"
    folder.mkdir(exist_ok=True)
    for file, content in files.items():
        (folder / file).write_bytes(content)
    try:
        loaded = artifact.load(str(folder))
    except ArtifactError as error:
        holds(changed, "the true model is refused", str(error))
        holds(str(folder) in str(error.where), "the file is not named", str(error))
        return
    true_model = artifact.load(str(scratch / "true"))
    if not resealed or not changed:
        same = all(np.array_equal(value, loaded.tensors[key]) for key, value in true_model.tensors.items())
        same &= loaded.aliases == true_model.aliases and loaded.scores == true_model.scores
        holds(same and loaded.manifest == true_model.manifest, "a changed model is taken for the true one", name)
    _use(loaded, str(folder))


def _other_header(weights: bytes, rng: Random) -> bytes:
    size = int.from_bytes(weights[:8], "little")
    header = to_json(mutated_json(json.loads(weights[8 : 8 + size]), rng))
    return len(header).to_bytes(8, "little") + header + weights[8 + size :]


def _sealed(files: dict[str, bytes]) -> dict[str, bytes]:
    """The manifest and MODEL_ID with hashes that fit."""
    text = files["manifest.json"]
    try:
        manifest = json.loads(text)
        for name in ("vocabulary.txt", "weights.safetensors", "aliases.txt", "scores.txt"):
            manifest["files"][name] = hashlib.sha256(files[name]).hexdigest()
        text = json.dumps(manifest).encode()
    except (ValueError, LookupError, TypeError, RecursionError):
        pass  # not JSON, or without hashes: the manifest stays as it is
    return {"manifest.json": text, "MODEL_ID": hashlib.sha256(text).hexdigest().encode() + b"\n"}


def _use(loaded: artifact.Artifact, folder: str) -> None:
    """What a job does with a model besides scoring: none of it may fail on what was let in."""
    holds(loaded.temperature > 0 and 0 <= loaded.threshold <= 1, "calibration", loaded.temperature, loaded.threshold)
    holds(loaded.training_profile.reviews >= 0, "profile", loaded.training_profile)
    windows = loaded.tokenizer.windows(loaded.tokenizer.words("a good film, 映画は最高, 영화가 " * 300))
    holds(max(int(ids.max()) for ids in windows) < loaded.architecture.vocabulary_size, "ids beyond the vocabulary")
    temperatures = loaded.temperatures(np.array([1, 5, 500]), np.array([0.0, 0.3, 1.0]))
    holds(bool((temperatures > 0).all()), "temperatures", temperatures)
    out = io.StringIO()
    cards.model_card(Console(file=out, width=80), folder, loaded.manifest, loaded.model_id)
    holds("temperature" in out.getvalue(), "no card", out.getvalue())
