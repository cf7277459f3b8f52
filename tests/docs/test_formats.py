"""docs/formats.md knows every format, ending and error code."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from batch_scorer.formats import compression
from batch_scorer.formats.json_records import NAME_MAX, NESTING_MAX
from batch_scorer.formats.parquet import footer, limits
from batch_scorer.formats.table import FORMATS, SUFFIXES
from batch_scorer.models.profile import CHANCE, FOREIGN_SHARE, LEAST_INCREASE, LENGTH_SHIFT, OOV_SHARE
from batch_scorer.schema import ERROR_CODES
from batch_scorer.scoring.read import CHUNK_CHARACTERS
from batch_scorer.scoring.write import ROW_GROUP_BYTES
from batch_scorer.storage.stores import client, gcs, retry, s3

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")


def test_every_format_and_ending_is_on_the_page() -> None:
    assert [] == [name for name in (*FORMATS, *SUFFIXES) if f"`{name}`" not in PAGE]


def test_every_error_code_is_on_the_page_with_its_stage() -> None:
    table = PAGE[PAGE.index("## Every error code") :]
    stages = dict(re.findall(r"^\| `(\w+)` \| (read|decode|encode|score) \|", table, re.MULTILINE))
    assert {code: stage for code, (stage, _) in ERROR_CODES.items()} == stages


def test_thresholds_of_warnings_are_those_of_the_code() -> None:
    for text in (
        f"over {OOV_SHARE:.0%}",
        f"over {FOREIGN_SHARE:.0%}",
        f"over {LENGTH_SHIFT}",
        f"{LEAST_INCREASE * 100:.0f} points",
    ):
        assert text.replace("%", " %") in PAGE
    assert 0.001 == CHANCE and "one false alarm in a thousand" in PAGE


def test_limits_are_those_of_the_code() -> None:
    assert (1 << 30, 100) == (compression.INFLATED_BYTES, compression.INFLATION)
    assert (256 << 20, 64 << 20) == (limits.PAGE_BYTES, footer.FOOTER_BYTES)
    for text in (
        f"{footer.SCHEMA_ELEMENTS:,} columns, {footer.SCHEMA_DEPTH} levels".replace(",", " ", 1),
        f"{footer.ROWS_ANYWAY // 1_000_000} million rows, or {footer.ROWS_A_BYTE} per byte",
        f"{NESTING_MAX} levels; names of {NAME_MAX:,} characters".replace(",", " "),
        f"{CHUNK_CHARACTERS >> 20} million characters",
        f"reach {ROW_GROUP_BYTES >> 20} MB",
        "may inflate to 1 GiB, or to 100 times",
        "may take 256 MiB",
        "| Parquet: footer | 64 MiB",
    ):
        assert text in PAGE


def test_retries_and_options_of_stores_are_those_of_the_code() -> None:
    section = PAGE[PAGE.index("## Stores") : PAGE.index("## Limits")]
    assert 7 == len(retry.WAITS_S) + 1 and 60 == round(sum(retry.WAITS_S), -1)
    *statuses, last = map(str, retry._TRANSIENT)
    options = re.findall(r'options\.get\("(\w+)"\)', "".join(map(inspect.getsource, (gcs, s3))))
    assert 8 < len(options)
    for text in (
        f"{retry.ANSWER_S:.0f} seconds without an answer ({retry.CONNECT_S:.0f} for a connection)",
        f"statuses {', '.join(statuses)} and {last}.",
        f"seven attempts in all, after waits of {min(retry.WAITS_S):.0f} to {max(retry.WAITS_S):.0f} seconds",
        *(f"`{scheme}://`" for scheme in client.EXTRAS),
        *(f"pip install -e '.[{extra}]'" for extra in client.EXTRAS.values()),
        *(f"`--{option}`" for option in options),
    ):
        assert text in section
