"""Hints: every option and every command that a message names exists.

What refusals and summaries advise is run in `tests.cli.test_advice`. Here are the options in all messages of the
package, and, at the end of a session, the commands in every fix that its tests have provoked.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import batch_scorer
from batch_scorer.errors import OptionError
from batch_scorer.planning.options import check_given
from tests.hints import faults, known_options, provoked

PACKAGES = ("batch_scorer", "train")
STYLES = ("charts.py", "curves.py")  # name variables of the page's style sheet


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """The strings of a module that are no documentation, with their lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.lineno, node.value


def test_every_option_that_a_message_names_exists() -> None:
    root, known = Path(batch_scorer.__file__).parent.parent, known_options()
    unknown = [
        f"{path.relative_to(root)}:{line}: {option}"
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
        if path.name not in STYLES
        for line, text in messages(path)
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z](?![\w-]*_)", text)
        if option not in known
    ]
    assert [] == unknown


@pytest.mark.parametrize(
    ("fix", "expected"),
    [
        ("run `batch-scorer score a.csv --output out --resume`: finished work is kept", []),
        ("see why with `batch-scorer inspect`, and compare a run that scored something", []),
        ("run the same `batch-scorer score` with --resume", []),
        ("run `batch-scorer scor a.csv --output out`", ["No such command 'scor'"]),
        ("run `batch-scorer score a.csv --output out --resum`", ["No such option '--resum'"]),
        ("run `batch-scorer score a.csv --top-k many --output out`", ["Invalid value for '--top-k'"]),
        ("give --encodings cp1252", ["no option --encodings"]),
        ("choose another --output, or give --s3_endpoint_url after --", []),
    ],
)
def test_fault_of_a_hint_is_found(fix: str, expected: list[str]) -> None:
    found = faults(fix)
    assert len(expected) == len(found)
    assert all(part in fault for part, fault in zip(expected, found, strict=True)), found


def test_hints_that_tests_provoke_are_collected() -> None:
    with pytest.raises(OptionError):
        check_given("encoding", "")
    assert "give it a value, or omit it" in provoked
    assert "of a test" not in provoked | {OptionError("x", fix="of a test").what}
