"""A run's rows -> those that people should label: least certain, unusual or drawn at random."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batch_scorer.analysis.quoting import literal, reference
from batch_scorer.analysis.views import temperature
from batch_scorer.labelling.question import LEAST_CERTAIN, RANDOM, UNUSUAL, Question
from batch_scorer.runs.finished import Run

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

WORDS = 8  # shown of a review, at most
_KEY = 'record_id, source, "offset"'


@dataclass(frozen=True)
class ListedWord:
    """A word or phrase that a row lists; a phrase has no token."""

    token: str
    char_start: int
    char_end: int
    contribution: float


@dataclass(frozen=True)
class Chosen:
    """A row that was chosen.

    Args:
        choices: the names of those that took it.
        words: in either list, to recognise the text by.
        strongest: the words, or phrases where the run has these, that contribute most, strongest first.
        kept: the text, where the run kept it.
    """

    record_id: str
    source: str
    offset: int
    probability: float
    label: str
    n_tokens: int
    unusual: str
    choices: tuple[str, ...]
    words: tuple[ListedWord, ...]
    strongest: tuple[ListedWord, ...]
    kept: str | None


def choose(connection: DuckDBPyConnection, question: Question, run: Run) -> list[Chosen]:
    """The rows that `question` asks for, choice by choice, each once: at the first that takes it.

    Ties are broken by id, source and offset. What is drawn follows from the seed and the rows alone.

    Args:
        connection: with the views `new_` of the run.
    """
    share = min(max(float(run.manifest["threshold"]), 1e-9), 1 - 1e-9)
    distance = f"abs(logit::double / {temperature(run)} - {literal(math.log(share / (1 - share)))})"
    draw = f'md5(concat_ws(chr(0), {literal(str(question.seed))}, record_id, source, "offset"))'
    ways = {
        LEAST_CERTAIN: (distance, "isfinite(logit)"),
        UNUSUAL: (distance, "unusual <> ''"),
        RANDOM: (draw, "true"),
    }
    selects = [
        f"""select {at} as choice, row_number() over (order by {ways[name][0]}, {_KEY}) as rank, {_KEY} from
            (select * from new_predictions where {ways[name][1]} order by {ways[name][0]}, {_KEY} limit {count})"""
        for at, (name, count) in enumerate(question.choices.items())
    ]
    optional = {"unusual": "''", "top_spans": "[]"}
    found = ", ".join(f"{name if name in run.columns else nothing} as {name}" for name, nothing in optional.items())
    rows = connection.execute(f"""
        with chosen as ({" union all ".join(selects)}),
        once as (select {_KEY}, min((choice, rank)) as place, list(choice order by choice) as choices
                 from chosen group by {_KEY})
        select {_KEY}, probability, predicted_label, n_tokens, choices, top_attended, top_contributing,
            {_kept_text(run)} as kept, {found}
        from new_predictions join once using ({_KEY}) order by place, {_KEY}
    """)
    names = [column[0] for column in rows.description or ()]
    choices = list(question.choices)
    return [_chosen(dict(zip(names, row, strict=True)), choices) for row in rows.fetchall()]


def _kept_text(run: Run) -> str:
    """The kept column that holds the text, as SQL; null where there is none."""
    for kept in run.plan["kept"]:
        if kept["name"] == run.plan["text_column"] and kept["type"] in ("string", "large_string"):
            return reference(kept["output_name"])
    return "null::varchar"


def _chosen(row: Mapping[str, Any], choices: list[str]) -> Chosen:
    listed = [*row["top_attended"], *row["top_contributing"]]
    strongest = row["top_spans"] or row["top_contributing"]
    return Chosen(
        record_id=row["record_id"],
        source=row["source"],
        offset=row["offset"],
        probability=row["probability"],
        label=row["predicted_label"],
        n_tokens=row["n_tokens"],
        unusual=row["unusual"],
        choices=tuple(choices[at] for at in row["choices"]),
        words=tuple(map(_word, listed)),
        strongest=tuple(map(_word, strongest[:WORDS])),
        kept=row["kept"],
    )


def _word(word: Mapping[str, Any]) -> ListedWord:
    return ListedWord(word.get("token", ""), word["char_start"], word["char_end"], word["contribution"])
