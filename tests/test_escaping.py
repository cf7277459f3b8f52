"""What is shown: whatever stands in reviews, names and manifests, a terminal obeys nothing that is not ours."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from batch_scorer.cli.main import main
from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import ArtifactError
from batch_scorer.escape import as_json, report, safe, visible
from batch_scorer.models import manifest_schema
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.engine import load_engine
from batch_scorer.models.json_schema import first_fault
from batch_scorer.models.profile import measure
from batch_scorer.models.tokenizer import words
from batch_scorer.planning import plan
from batch_scorer.runners.job import plan_sentence
from batch_scorer.runners.result import JobResult
from batch_scorer.runs.finished import Run
from batch_scorer.scoring.chunk import Scorer
from batch_scorer.scoring.review import ExplainedReview, explain_review
from batch_scorer.scoring.run_row import FoundText, RunRow
from batch_scorer.ui import cards, highlight, summary, terminal
from tests.cli.test_main import process
from tests.jobs import score_here
from tests.models.test_artifact import json_values
from tests.ui.test_terminal import FORBIDDEN

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
HOSTILE = [
    *(
        "\x1b[2J",
        "\x1b[31m",
        "\x1b]8;;http://x.example\x1b\\",
        "\x1b]0;title\x07",
        "\x9b31m",
        "\x9d0;title\x9c",
        "\x90+q",
    ),
    *(
        "\u202e",
        "\u2066",
        "\u061c",
        "\u200b",
        "\ud800",
        "\x00",
        "\x08",
        "\x7f",
        "\n",
        "\r",
        "\r\n",
        "\x0b",
        "\u2028",
        "\x85",
    ),
    *("[link=http://x.example]", "[blink]", "[/]", "[/blink]", "[@click=x]", "[", "]", "[b", "b]", "\\", ":heart:"),
]
SAYABLE = [text for text in HOSTILE if not {"\x00", "\ud800"} & set(text)]  # as an argument of a command
TEXTS = st.lists(st.sampled_from([*HOSTILE, "good", " "]) | st.text(max_size=5), max_size=8).map("".join)
STYLE = re.compile(r"\x1b\[([0-9;]*)m")
CURSOR = re.compile(r"\x1b\[\?25[lh]|\r?\x1b\[(?:1A|2K)")  # rich's, around what turns while one waits


def on_terminal(show: Callable[[Console], None], markup: bool = True) -> str:
    """What a terminal of all colours gets; by default even from a console that looks for markup in whatever it can."""
    on = Console(
        file=io.StringIO(), width=120, soft_wrap=True, force_terminal=True, color_system="truecolor", markup=markup
    )
    show(on)
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def assert_obeyed_in_nothing(printed: str, styles: set[str]) -> None:
    """Only these styles, line ends, and characters that can be seen."""
    assert styles >= set(STYLE.findall(printed))
    assert set() == {c for c in STYLE.sub("", printed) if not c.isprintable()} - {"\n"}


def styles_of(printed: str) -> set[str]:
    return set(STYLE.findall(printed))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("good film", "good film"),
        ("слово 日本語 café", "слово 日本語 café"),
        ("two\nlines\ttab\r", "two lines tab "),
        ("line\u2028separator\u0085next\u3000wide", "line separator next wide"),
        ("\x1b[31mred\x1b[0m", "�[31mred�[0m"),
        ("\x1b]0;title\x07", "�]0;title�"),
        ("\x9b31m\x00\x08\x7f", "�31m���"),
        ("a\u202egnp.exe", "a�gnp.exe"),
        ("half \ud800 of a pair", "half � of a pair"),
        ("zero\u200bwidth\ufeff", "zero�width�"),
        ("[red]x[/red] :heart: \\[bold]\\", "[red]x[/red] :heart: \\[bold]\\"),
        (12, "12"),
    ],
)
def test_safe_text_is_the_text_as_far_as_it_can_be_shown(text: object, expected: str) -> None:
    assert expected == safe(text)


@pytest.mark.parametrize("mark", BIDI, ids=lambda mark: f"U+{ord(mark):04X}")
def test_bidi_mark_is_not_shown(mark: str) -> None:
    assert "a�b" == safe(f"a{mark}b")


@given(text=st.text())
def test_any_text_becomes_one_line_of_characters_that_can_be_seen(text: str) -> None:
    cleaned = safe(text)
    assert len(text) == len(cleaned)
    assert not {unicodedata.category(c) for c in cleaned} & FORBIDDEN
    assert len(cleaned.splitlines()) <= 1


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("a\x1b\x1b\x1b", 3, "a�…"),
        ("[red]x", 4, "[re…"),
        ("ab", 1, "…"),
        ("", 3, ""),
    ],
)
def test_text_longer_than_the_width_is_cut_and_marked(text: str, width: int, expected: str) -> None:
    assert expected == safe(text, width)


@pytest.mark.parametrize(("width", "expected"), [(7, "…/b.txt"), (12, "folder/b.txt"), (2, "…t"), (1, "…")])
def test_path_longer_than_the_width_keeps_its_end(width: int, expected: str) -> None:
    assert expected == safe("folder/b.txt", width, keep_end=True)


@given(value=json_values | st.dictionaries(TEXTS, TEXTS) | st.lists(TEXTS))
def test_json_that_is_shown_is_one_line_to_look_at_and_the_same_value_to_read(value: Any) -> None:
    text = as_json(value)
    assert json.dumps(value) == json.dumps(json.loads(text))
    assert text.isprintable()


def test_json_that_is_shown_has_letters_as_letters_and_marks_by_their_number() -> None:
    expected = '{"слово": "日本 \\u009b31m \\u202e \\u007f \\udb40\\udc01 \\ud800 \\u001b"}'
    assert expected == as_json({"слово": "日本 \x9b31m \u202e \x7f \U000e0001 \ud800 \x1b"})


def test_json_that_is_shown_has_letters_that_its_encoding_lacks_by_their_number() -> None:
    assert '["café \\u0441\\ud83d\\ude00"]' == as_json(["café с😀"], "latin-1")


@given(texts=st.tuples(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS))
def test_error_is_shown_with_each_field_on_its_line_whatever_is_in_it(texts: tuple[str, ...]) -> None:
    what, where, expected, got, fix = texts
    shown = report(ArtifactError(what, where=where, expected=expected, got=got, fix=fix)).split("\n")
    assert all(line.isprintable() for line in shown)
    labels = [label for label, text in zip(("where", "expected", "got", "to fix"), texts[1:], strict=True) if text]
    assert [visible(what), *labels] == [shown[0], *(line.strip().split(":")[0] for line in shown[1:])]


def test_error_without_details_is_its_first_line() -> None:
    assert "no such model" == report(ArtifactError("no such model"))


@pytest.fixture(scope="module")
def made(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ScoreConfig, plan.Plan]:
    """A plan for a file of two columns, one of them kept."""
    folder = tmp_path_factory.mktemp("plan")
    pq.write_table(pa.table({"text": ["good"], "x": ["y"]}), folder / "in.parquet")
    config = ScoreConfig.of((str(folder / "in.parquet"),), str(folder / "out"), str(tiny_model), kept=(Kept("x", "y"),))
    return config, plan.make_plan(config, "0" * 12)[0]


@given(data=st.data())
def test_plan_obeys_nothing_in_names(made: tuple[ScoreConfig, plan.Plan], tiny: Artifact, data: st.DataObject) -> None:
    config, harmless = made

    def text() -> str:
        return data.draw(TEXTS)

    kept = (Kept(text(), text()),)
    fields = dataclasses.replace(
        harmless.fields, text=text(), id=text(), kept=kept, kept_schema=pa.schema([(visible(text()), pa.string())])
    )
    hostile = dataclasses.replace(
        harmless,
        run_id=text(),
        fields=fields,
        inputs=({**harmless.inputs[0], "input": text(), "formats": {text(): 1}},),
        notices=(text(),),
    )
    model = dataclasses.replace(tiny, manifest={**tiny.manifest, "name": text()})
    at = text()

    output = config.output.directory
    expected = styles_of(on_terminal(lambda on: terminal.plan_card(on, output, harmless)))
    assert_obeyed_in_nothing(on_terminal(lambda on: terminal.plan_card(on, at, hostile)), expected)
    # The line that a job begins with is a string, for a console that does not look for markup: `terminal.console`.
    line = f"{plan_sentence(hostile, model)}; run {safe(hostile.run_id)}"
    printed = on_terminal(lambda on: on.print(line, highlight=False, emoji=False), markup=False)
    assert_obeyed_in_nothing(printed, set())
    assert line == printed.rstrip("\n")


def test_console_of_the_commands_shows_markup_and_emoji_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.console().print("[red]1[/] :heart: [link=http://x.example]x[/link] [/]")
    assert "[red]1[/] :heart: [link=http://x.example]x[/link] [/]\n" == capsys.readouterr().out


def prediction(record_id: str, label: str, token: str) -> dict[str, Any]:
    words = [{"token": token, "contribution": weight} for weight in (1.0, -1.0)]
    return {"record_id": record_id, "predicted_label": label, "probability": 0.9, "top_contributing": words}


@given(texts=st.tuples(TEXTS, TEXTS, TEXTS))
def test_results_obey_nothing_in_ids_labels_and_words(texts: tuple[str, str, str]) -> None:
    expected = styles_of(on_terminal(lambda on: terminal.results(on, [prediction("1", "positive", "good")], "some")))
    printed = on_terminal(lambda on: terminal.results(on, [prediction(*texts)], "some"))
    assert_obeyed_in_nothing(printed, expected)


@given(texts=st.tuples(TEXTS, TEXTS))
def test_error_counts_obey_nothing_in_stages_and_codes(texts: tuple[str, str]) -> None:
    expected = styles_of(on_terminal(lambda on: terminal.error_counts(on, {("read", "unreadable"): 1})))
    assert_obeyed_in_nothing(on_terminal(lambda on: terminal.error_counts(on, {texts: 1})), expected)


@given(data=st.data())
def test_card_of_a_model_obeys_nothing_in_its_manifest(tiny: Artifact, data: st.DataObject) -> None:
    texts = TEXTS.map(lambda text: text[:200])
    manifest = {
        **tiny.manifest,
        "name": data.draw(texts),
        "versions": data.draw(st.dictionaries(texts, texts, max_size=3)),
    }
    assert first_fault(manifest_schema.ARTIFACTS[1], manifest) is None
    expected = styles_of(on_terminal(lambda on: cards.model_card(on, "model", tiny.manifest, "0" * 12)))
    printed = on_terminal(lambda on: cards.model_card(on, data.draw(TEXTS), manifest, "0" * 12))
    assert_obeyed_in_nothing(printed, expected)


def run_manifest(text: Callable[[], str]) -> dict[str, Any]:
    """The manifest of a run, every text in it from `text`."""
    reviews = np.full(300, 7)
    profile = measure(reviews, reviews, reviews // 7, np.linspace(0, 1, 300)).to_json()
    return {
        "run_id": text(),
        "model_id": text(),
        "model_name": text(),
        "counts": {"read": 4, "scored": 2, "rejected": 1, "unreadable": 1},
        "profile": {"run": profile, "training": profile},
        "threshold": 0.5,
        "timings": {text(): 1.0},
        "finished": text(),
        "not_a_success": text(),
        "warnings": [text()],
        "notices": [text(), text()],
        "command": ["x", "score", text()],
    }


@given(data=st.data(), complete=st.booleans())
def test_run_obeys_nothing_in_its_manifest(data: st.DataObject, complete: bool) -> None:
    def show(text: Callable[[], str]) -> Callable[[Console], None]:
        def on(console: Console) -> None:
            cards.run_card(console, text(), run_manifest(text), complete)
            terminal.notes(console, run_manifest(text))
            config = ScoreConfig.of((text(),), text(), command=("x", "score", text()), program=text())
            summary.show(console, config, JobResult(text(), run_manifest(text), 1.0, 0, 1, {text(): 1}))
            cards.next_commands(console, text())

        return on

    expected = styles_of(on_terminal(show(lambda: "text")))
    assert_obeyed_in_nothing(on_terminal(show(lambda: data.draw(TEXTS))), expected)


@pytest.fixture(scope="module")
def scorer(tiny: Artifact) -> Scorer:
    return Scorer(tiny, load_engine(tiny))


@pytest.fixture(scope="module")
def own_styles(scorer: Scorer) -> set[str]:
    """Every style that an explanation may use: those of words, with and without the line under unknown ones, and its
    table's.
    """
    words_and_marks = ["dim", "bold", "", *highlight.POSITIVE, *highlight.NEGATIVE]
    texts = [Text("x", f"{style}{more}".strip()) for style in words_and_marks for more in ("", " underline")]
    harmless = explain_review("good and bad, wonderful and boring", scorer, 5)
    return styles_of(on_terminal(lambda on: [on.print(text) for text in texts])) | styles_of(
        on_terminal(lambda on: highlight.show(on, harmless))
    )


@settings(max_examples=60)
@given(text=TEXTS.filter(lambda text: bool(words(text)) and not re.search("[\ud800-\udfff]", text)))
def test_explanation_obeys_nothing_in_the_review(text: str, scorer: Scorer, own_styles: set[str]) -> None:
    review: ExplainedReview = explain_review(text, scorer, 5)
    assert_obeyed_in_nothing(on_terminal(lambda on: highlight.show(on, review)), own_styles)


@settings(max_examples=60)
@given(data=st.data())
def test_row_of_a_run_obeys_nothing_in_its_table(data: st.DataObject, scorer: Scorer, own_styles: set[str]) -> None:
    review = explain_review("good and bad", scorer, 2)
    manifest = {"bias": 0.1, "temperature": 1.3, "finished": "text", "model_name": "text"}

    def show(text: Callable[[], str]) -> Callable[[Console], None]:
        words = [{**word, "token": text()} for word in review.row["top_contributing"]]
        names = ("record_id", "source", "model_id", "run_id", "predicted_label", text(), text())
        columns = {**review.row, "offset": 7, **{name: text() for name in names}, "top_contributing": words}
        said = {name: text() if name in ("finished", "model_name") else value for name, value in manifest.items()}
        row = RunRow(Run(text(), said, {}, True, (), ()), columns, same_id=2)
        return lambda on: highlight.show_row(on, row, FoundText(None, text()))

    expected = own_styles | styles_of(on_terminal(show(lambda: "text")))
    assert_obeyed_in_nothing(on_terminal(show(lambda: data.draw(TEXTS))), expected)


NAMES = [
    "a\x1b[2J\x1b]0;t\x07.jsonl",
    "b\u202e\u2066\x9b31m.jsonl",
    "c\nerror: none\r.jsonl",
    "d[link=http:x][blink].jsonl",
    "e[@click=x]:heart:\\.jsonl",
    "f\udcff\udc9b.jsonl",
]


def invoke(*args: object) -> Result:
    """Runs a command as if in a terminal of all colours."""
    colours = {"FORCE_COLOR": "1", "COLORTERM": "truecolor", "TERM": "xterm-256color", "COLUMNS": "200"}
    return CliRunner(env=colours).invoke(main, [str(arg) for arg in args], color=True)


def assert_shown_only(result: Result, codes: tuple[int, ...], *expected: str) -> None:
    """It went well, or was refused as it should be, and what was printed can only be looked at."""
    assert result.exit_code in codes, result.output
    assert isinstance(result.exception, SystemExit | None), result.exception
    printed = CURSOR.sub("", result.stdout + result.stderr)
    assert set() == {c for c in STYLE.sub("", printed) if not c.isprintable()} - {"\n"}
    assert not styles_of(printed) & {"5", "6", "7", "8"}  # to blink, to swap colours, to hide
    assert [] == [text for text in expected if text not in printed]


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Files whose names, ids and kept values all hold what a terminal would obey."""
    for name in NAMES:
        records = [
            {"id": f"{text}{i}", "text": f"{text} good film {text}", "k": text} for i, text in enumerate(HOSTILE)
        ]
        (tmp_path / "in").mkdir(exist_ok=True)
        lines = "".join(json.dumps(record) + "\n" for record in [*records, {"id": HOSTILE[0], "text": "?!"}])
        (tmp_path / "in" / name).write_text(lines)
    return tmp_path / "in"


def test_run_over_hostile_names_ids_and_values_shows_them_and_obeys_nothing(
    hostile: Path, tiny_model: Path, config: Callable[..., ScoreConfig]
) -> None:
    name = "out\x1b[31m\u202e[blink]\n"
    job = config(hostile, id_column="id", kept=(Kept("k", "k"),), output=str(hostile.parent / name), max_error_rate=1)
    shown = "out�[31m�[blink] "
    more = ("--id-column", "id", "--keep", "k=k\x1b[5m", "--max-error-rate", 1, "--run-id", "x[/]\x1b[5m")
    dry = invoke("score", hostile, "--model", tiny_model, "--output", job.output.directory, "--dry-run", *more)
    assert_shown_only(dry, (0,), shown, "k as k�[5m")

    score_here(job)
    assert_shown_only(
        invoke("inspect", job.output.directory), (0,), shown, "the first predictions", "no_words", "�[2J0"
    )


@pytest.mark.parametrize("name", NAMES)
def test_refusal_of_a_hostile_name_shows_it_on_one_line(name: str, tiny_model: Path, tmp_path: Path) -> None:
    for args in (
        ("score", tmp_path / name, "--model", tiny_model, "--output", tmp_path / "out"),
        ("score", tmp_path, "--model", tmp_path / name, "--output", tmp_path / "out"),
        ("inspect", tmp_path / name),
        ("explain", "good", "--model", tmp_path / name),
    ):
        result = invoke(*args)
        assert_shown_only(result, (2,), safe(name))
        labels = {line.split(":")[0].strip() for line in STYLE.sub("", result.stderr).splitlines()}
        assert {"error", "where", "expected", "got", "to fix"} >= labels


@pytest.mark.parametrize(
    "args",
    [
        ("{}x",),
        ("score", "--{}x"),
        ("score", "a", "--output", "b", "--limit", "{}x"),
        ("score", "a", "--output", "b", "--precision", "{}x"),
        ("score", "a", "--output", "b", "--resume={}x"),
        ("explain", "a", "{}x"),
        ("inspect", "a", "{}x", "b{}"),
    ],
    ids=" ".join,
)
def test_wrong_usage_that_quotes_a_hostile_argument_obeys_nothing_in_it(args: tuple[str, ...]) -> None:
    for text in SAYABLE:
        result = invoke(*(arg.format(text) for arg in args))
        assert_shown_only(result, (2,))
        assert 1 == sum(line.startswith("Error:") for line in result.stderr.splitlines())
        assert result.stderr.splitlines()[-1].startswith("Error:")


def test_command_without_arguments_shows_the_help_line_by_line() -> None:
    result = CliRunner().invoke(main, [])
    lines = (result.stdout + result.stderr).splitlines()
    assert {"Commands:", "Options:", "  Examples:"} <= set(lines), lines[:1]


def test_explanation_as_json_is_printed_as_one_line_that_can_be_looked_at(tiny_model: Path) -> None:
    result = invoke("explain", "--json", "--top-k", 99, "--model", tiny_model, "".join(SAYABLE) + "слово")
    assert_shown_only(result, (0,), "слово")
    assert 1 == result.stdout.count("\n")
    assert "слово" in {word["token"] for word in json.loads(result.stdout)["top_attended"]}


@pytest.fixture(scope="module")
def finished(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "in.jsonl").write_text('{"text": "a good film"}\n{"text": "?!"}\n')
    score_here(ScoreConfig.of((str(folder / "in.jsonl"),), str(folder / "out"), str(tiny_model), workers=1))
    return folder / "out"


@settings(max_examples=100)
@given(data=st.data())
def test_inspect_of_a_run_whose_manifest_says_anything_shows_it_or_says_that_it_is_damaged(
    finished: Path, data: st.DataObject
) -> None:
    manifest = json.loads((finished / "manifest.json").read_text())
    whole, parent = json.dumps(manifest), manifest
    key = data.draw(st.sampled_from(sorted(parent)))
    while isinstance(parent[key], dict | list) and parent[key] and data.draw(st.booleans()):
        parent = parent[key]
        key = data.draw(st.sampled_from(sorted(parent) if isinstance(parent, dict) else range(len(parent))))
    parent[key] = data.draw(json_values | TEXTS | st.sampled_from([10**400, float("nan"), float("-inf")]))
    try:
        (finished / "manifest.json").write_text(json.dumps(manifest))
        assert_shown_only(invoke("inspect", finished), (0, 2))
    finally:
        (finished / "manifest.json").write_text(whole)


def test_explanation_in_an_encoding_that_lacks_its_letters_is_shown_without_them(tiny_model: Path) -> None:
    command = ("-m", "batch_scorer", "explain", "слово good", "--model", tiny_model)
    text, row = (process(*command, *more, PYTHONIOENCODING="ascii") for more in ((), ("--json",)))
    assert [(0, "")] * 2 == [(done.returncode, done.stderr) for done in (text, row)]
    assert text.stdout.startswith("?????")
    assert {"слово", "good"} == {word["token"] for word in json.loads(row.stdout)["top_attended"]}
