"""docs/formats.md knows every format, ending and error code."""

from __future__ import annotations

import re
from pathlib import Path

from batch_scorer.config import FORMATS
from batch_scorer.inputs import _FORMAT_OF
from batch_scorer.profile import FOREIGN_SHARE, LENGTH_SHIFT, OOV_SHARE, SHIFT_REVIEWS
from batch_scorer.schema import ERROR_CODES

PAGE = (Path(__file__).parent.parent / "docs" / "formats.md").read_text(encoding="utf-8")


def test_every_format_and_ending_is_on_the_page() -> None:
    assert [] == [name for name in (*FORMATS, *_FORMAT_OF) if f"`{name}`" not in PAGE]


def test_every_error_code_is_on_the_page_with_its_stage() -> None:
    found = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE, re.MULTILINE))
    found = {code: stage for code, stage in found.items() if stage in ("read", "decode", "encode", "score")}
    assert {code: stage for code, (stage, _) in ERROR_CODES.items()} == found


def test_thresholds_of_warnings_are_those_of_the_code() -> None:
    for text in (
        f"over {OOV_SHARE:.0%}",
        f"over {FOREIGN_SHARE:.0%}",
        f"over {LENGTH_SHIFT}",
        f"from {SHIFT_REVIEWS} ",
    ):
        assert text.replace("%", " %") in PAGE
