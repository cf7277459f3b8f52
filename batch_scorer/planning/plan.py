"""Plans a job: lists the inputs and cuts them into shards that any worker can take.

In: the config. Out: a `Plan` (small, sent to every worker) and its `Shards` (which `runs.plan_files` writes).
Both depend on the inputs and the options alone, never on the workers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from batch_scorer.config import InputConfig, ScoreConfig, ScoringConfig
from batch_scorer.formats.records import Fields, Shard
from batch_scorer.planning import columns, text_files
from batch_scorer.planning.columns import Say, say_nothing
from batch_scorer.planning.kept import KeptColumns
from batch_scorer.planning.listing import list_inputs
from batch_scorer.planning.read_before import NOTHING, ReadBefore
from batch_scorer.planning.shards import Files, Shards
from batch_scorer.schema import WORDS_ONLY, Segments

SHARDS_AT_LEAST = 64  # enough that a medium-sized corpus keeps a cluster busy
SHARD_ROWS_MIN, SHARD_ROWS_MAX = 1_000, 50_000


@dataclass(frozen=True)
class Plan:
    """Everything about a run except its shards.

    Args:
        run_id: `--run-id`, or the first 12 hex digits of `plan_hash`.
        plan_hash: see the function `plan_hash`.
        model_id: of the model that scores.
        fields: the columns to read.
        top_k: words in each list.
        precision: of the network's products.
        excerpts: whether rows of `errors` show the beginning of the record.
        limit: score only the first so many records; None for all.
        shard_rows: reviews per shard, roughly, if that was given as an option.
        shard_count: the number of shards.
        reviews: the number of reviews; an estimate if `estimated`.
        inputs: for each argument, what it matched, in files and bytes, and a fingerprint.
        notices: what the user should know about the inputs.
        segments: the sentences and phrases that are listed.
        after: earlier runs, by output and run_id, whose files were passed over.
        target_accuracy, certainty: the wanted accuracy of decided reviews, and the least confidence of these that
            follows from it and the model; None where nothing is decided.
        unusual: whether rows say what is unusual about their text.
        text_hash: whether rows have the hash of their text.
        after_by: whether only files are passed over, or records too: one of `config.AFTER_BY`.
        earlier_records: as `ReadBefore.records`, where there is anything to read.
        started: when the run was started first, if it was finished and is resumed; `plan.json` does not have it.
    """

    run_id: str
    plan_hash: str
    model_id: str
    fields: Fields
    top_k: int
    precision: str
    excerpts: bool
    limit: int | None
    shard_rows: int | None
    shard_count: int
    reviews: int
    estimated: bool
    inputs: tuple[dict[str, Any], ...]
    notices: tuple[str, ...]
    segments: Segments = WORDS_ONLY
    after: tuple[dict[str, str], ...] = ()
    target_accuracy: float | None = None
    certainty: float | None = None
    unusual: bool = False
    text_hash: bool = False
    after_by: str = InputConfig.after_by
    earlier_records: Mapping[str, Any] | None = None
    started: str | None = None

    @property
    def asked_columns(self) -> tuple[str, ...]:
        """Those of `schema.OPTIONAL_COLUMNS` that were asked for; a model may bring others."""
        asked = ScoringConfig(
            sentences=self.segments.sentences,
            spans=self.segments.spans,
            target_accuracy=self.target_accuracy,
            unusual=self.unusual,
            no_text_hash=not self.text_hash,
        )
        return asked.asked_columns

    def to_json(self) -> dict[str, Any]:
        """`plan.json`, without the names of the pieces."""
        f = self.fields
        return {
            "run_id": self.run_id,
            "plan_hash": self.plan_hash,
            "model_id": self.model_id,
            "text_column": f.text,
            "id_column": f.id,
            "kept": [
                {**dataclasses.asdict(kept), "type": str(kind.type)}
                for kept, kind in zip(f.kept, f.kept_schema, strict=True)
            ],
            "max_text_bytes": f.max_text_bytes,
            "encoding": f.encoding,
            "delimiter": f.delimiter,
            # Only where they are given: runs of earlier versions have the same hash without them.
            **{name: value for name, value, usual in (*_added(f), *self._asked()) if value != usual},
            "top_k": self.top_k,
            **({"sentences": True} if self.segments.sentences else {}),
            **({"spans": self.segments.spans} if self.segments.spans else {}),
            "precision": self.precision,
            "excerpts": self.excerpts,
            "limit": self.limit,
            "shard_rows": self.shard_rows,
            "shards": self.shard_count,
            "reviews": self.reviews,
            "estimated": self.estimated,
            "inputs": list(self.inputs),
            "notices": list(self.notices),
            **({"after": list(self.after)} if self.after else {}),
        }

    def _asked(self) -> Iterator[tuple[str, Any, Any]]:
        """What `_added` yields of the columns that were asked for."""
        yield "target_accuracy", self.target_accuracy, None
        yield "certainty", self.certainty, None
        yield "unusual", self.unusual, False
        yield "text_hash", self.text_hash, False
        yield "after_by", self.after_by, InputConfig.after_by
        yield "earlier_records", self.earlier_records, None


def _added(fields: Fields) -> Iterator[tuple[str, Any, Any]]:
    """Settings that earlier versions did not have: their names, values and defaults."""
    yield "quote", fields.quote, InputConfig.quote
    yield "escape", fields.escape, InputConfig.escape
    yield "columns", list(fields.columns), []
    yield "null_values", list(fields.null_values), []
    yield "sheet", fields.sheet, None


def make_plan(
    config: ScoreConfig,
    model_id: str,
    say: Say = say_nothing,
    certainty: float | None = None,
    before: ReadBefore = NOTHING,
) -> tuple[Plan, Shards]:
    """Lists the inputs and cuts them into shards.

    Args:
        say: called now and then with what is being done.
        before: what earlier runs have read; it is passed over.
        certainty: the least confidence of a decided review, where the config has a target for these.

    Raises:
        InputError: nothing matches, a column is missing or has the wrong type, or a file's format is not known.
        OutputError: the output is inside an input, or an input inside the output.
    """
    say("listing the inputs")
    listing = list_inputs(config, before)
    fields, files = Fields.of(config.input), Files(listing)
    kept = KeptColumns(fields, config.job.allow_empty or bool(before.stamps))
    for file in columns.look_into(listing, fields, say):
        files.add(kept.add(file))
    fields = dataclasses.replace(fields, kept_schema=kept.schema())
    rows = config.job.shard_rows or min(max(files.reviews // SHARDS_AT_LEAST, SHARD_ROWS_MIN), SHARD_ROWS_MAX)
    say("cutting the inputs into shards")
    shards = Shards(files, rows, fields, config.input.limit)
    plan = Plan(
        run_id="",
        plan_hash="",
        model_id=model_id,
        fields=fields,
        top_k=config.scoring.top_k,
        segments=Segments(config.scoring.sentences, config.scoring.spans),
        precision=config.scoring.precision,
        excerpts=config.output.excerpts,
        limit=config.input.limit,
        shard_rows=config.job.shard_rows,
        shard_count=len(shards),
        reviews=files.reviews if config.input.limit is None else min(files.reviews, config.input.limit),
        estimated=files.estimated,
        inputs=listing.summaries,
        notices=(
            *listing.notices,
            *text_files.notices(listing, config.input.format, config.input.encoding),
            *files.remarks,
            *kept.notices(),
        ),
        after=before.runs,
        target_accuracy=config.scoring.target_accuracy,
        certainty=certainty,
        unusual=config.scoring.unusual,
        text_hash=not config.scoring.no_text_hash,
        after_by=config.input.after_by,
        earlier_records=before.records if len(shards) else None,
    )
    digest = plan_hash(plan, shards)
    return dataclasses.replace(plan, run_id=config.output.run_id or digest[:12], plan_hash=digest), shards


def planned_without_hash(plan: Plan, shards: Shards) -> Plan:
    """The same plan for rows without a hash of their text, as earlier versions made it."""
    plan = dataclasses.replace(plan, text_hash=False)
    return dataclasses.replace(plan, plan_hash=plan_hash(plan, shards))


def planned_apart(plan: Plan, shards: Shards) -> tuple[Plan, Shards]:
    """The same plan as earlier versions made it, who let only one-review files share a shard; its name stays."""
    shards = shards.apart()
    plan = dataclasses.replace(plan, shard_count=len(shards))
    return dataclasses.replace(plan, plan_hash=plan_hash(plan, shards)), shards


def passed_over(plan: Plan) -> dict[str, int]:
    """Files and bytes that a run did not open, since earlier ones had read them."""
    per_input = [found["passed_over"] for found in plan.inputs if "passed_over" in found]
    return {name: sum(one[name] for one in per_input) for name in ("files", "bytes")}


def plan_hash(plan: Plan, shards: Iterable[Shard]) -> str:
    """sha256 over the shards and everything in the plan except its name and its hash."""
    nameless = dataclasses.replace(plan, run_id="", plan_hash="")
    digest = hashlib.sha256(json.dumps(nameless.to_json(), sort_keys=True).encode())
    for shard in shards:
        digest.update(shard.to_json().encode() + b"\n")
    return digest.hexdigest()
