"""CSV as programs write it: without a header, with quotes that stand for themselves, with escapes; and hints for it."""

from __future__ import annotations

import dataclasses
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from batch_scorer.cli.main import score
from batch_scorer.config import InputConfig, ScoreConfig
from batch_scorer.errors import InputError, OptionError
from batch_scorer.planning.options import check_reading
from batch_scorer.planning.plan import make_plan, plan_hash
from batch_scorer.schema import Rejection
from batch_scorer.scoring.inputs import open_inputs

Config = Callable[..., ScoreConfig]
TAB = "\t"
HEADERLESS = "I adore this headset, the sound is superb.\t1\nBroke within a week, what a waste.\t0\nFine.\t1\n"


def read(path: Path, **options: object) -> tuple[list[str], list[Rejection]]:
    """The texts of a file, and what is rejected."""
    reads = dataclasses.replace(InputConfig((str(path),)), **options)  # type: ignore[arg-type]
    chunks = list(open_inputs(reads))
    return [text for chunk in chunks for text in chunk.texts], [r for chunk in chunks for r in chunk.rejected]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text, newline="")
        return tmp_path / name

    return write


File = Callable[[str, str], Path]

# name of the case -> name of the file, its content, the options, and the texts
READ: dict[str, tuple[str, str, dict[str, object], list[str]]] = {
    "no header": ("a.csv", "good,1\nbad,0\n", {"columns": ("text", "label")}, ["good", "bad"]),
    "no header, tabs": ("a.tsv", "1\tgood\n0\tbad\n", {"columns": ("label", "text")}, ["good", "bad"]),
    "no header, text file": ("a.txt", "1, good\t1\nbad, too\t0\n", {"columns": ("text", "y")}, ["1, good", "bad, too"]),
    "no header, one column": ("a.csv", "good\nbad\n", {"columns": ("text",)}, ["good", "bad"]),
    "no header, columns left out": ("a.csv", "0,7,good\n1,8,bad\n", {"columns": ("", "", "text")}, ["good", "bad"]),
    "no header, first text quoted over lines": ("a.csv", '"a\nb",1\nc,0\n', {"columns": ("text", "y")}, ["a\nb", "c"]),
    "quotes of their own": (
        "a.tsv", 'text\tlabel\n"Never again 0\t0\nLovely\t1\nof 8"\t0\nA "fine" one"\t1\n', {"quote": "none"},
        ['"Never again 0', "Lovely", 'of 8"', 'A "fine" one"'],
    ),
    "quotes of their own, commas": ("a.csv", 'text,n\n"a,1\nb" c,2\n', {"quote": "none"}, ['"a', 'b" c']),
    "single quotes": ("a.csv", "text,n\n'a, b',1\n'it''s',2\n", {"quote": "'"}, ["a, b", "it's"]),
    "escaped quotes": (
        "a.csv", 'text,n\n"She said \\"no\\", twice",1\n"and ""yes""",2\n', {"escape": "\\"},
        ['She said "no", twice', 'and "yes"'],
    ),
    "escapes alone": ("a.csv", "text,n\na\\, b,1\nc\\\nd,2\n", {"quote": "none", "escape": "\\"}, ["a, b", "c\nd"]),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_csv_reads_as_its_options_say(case: str, file: File) -> None:
    name, content, options, expected = READ[case]

    texts, rejected = read(file(name, content), **options)

    assert [] == rejected
    assert expected == texts


def test_offsets_without_a_header_count_from_the_first_record(file: File) -> None:
    (chunk,) = open_inputs(InputConfig((str(file("a.csv", "good,1\nbad\n")),), columns=("text", "n")))

    assert [0] == chunk.reviews["offset"].to_pylist()
    (rejection,) = chunk.rejected
    assert (1, "wrong_field_count", "1 field where --columns names 2") == (
        rejection.offset, rejection.code, rejection.message,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "texts", "rejected"),
    [
        # A quote opens a field and another closes it three lines later.
        ('"Never\t0\nLovely\t1\nDull\t0\nof 8"\t0\nFine\t1\n', ["Lovely", "Dull", 'of 8"', "Fine"], ['"Never']),
        # One of the lines in between is damaged, or blank.
        ('"Never\t0\nLovely\nDull\t0\nof 8"\t0\nFine\t1\n', ["Dull", 'of 8"', "Fine"], ['"Never', "Lovely"]),
        ('"Never\t0\n\nDull\t0\nof 8"\t0\nFine\t1\n', ["Dull", 'of 8"', "Fine"], ['"Never']),
        # What comes of it has too many fields.
        ('"Never\t0\nLovely\t1\nDull"\t0\t0\nFine\t1\n', ["Lovely", "Fine"], ['"Never', 'Dull"']),
        # Quoted as it should be.
        ('"Never\nagain"\t0\n"Tab\tin it"\t1\n', ["Never\nagain", "Tab\tin it"], []),
    ],
)
def test_stray_quote_among_tabs_costs_its_own_line_only(
    content: str, texts: list[str], rejected: list[str], file: File
) -> None:
    found, damage = read(file("a.tsv", f"text\tlabel\n{content}"))

    assert texts == found
    assert all("give --quote none" in str(r.message) for r in damage if r.code == "malformed_csv")
    assert rejected == [str(r.excerpt).split(TAB)[0].split(" | ")[0].strip() for r in damage]


def test_backslashes_before_quotes_are_answered_by_the_option_that_reads_them(file: File) -> None:
    path = file("a.csv", 'text,n\n"She said \\"no\\", twice",1\nfine,2\n')

    _, (rejection,) = read(path)
    assert "give --escape '\\'" in str(rejection.message)
    assert ['She said "no", twice', "fine"] == read(path, escape="\\")[0]


def test_format_that_was_asked_for_gets_no_hint_at_another(file: File) -> None:
    path = str(file("a.txt", HEADERLESS))

    assert 1 == len(open_inputs(InputConfig((path,))).notices)
    assert () == open_inputs(InputConfig((path,), format="files")).notices


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"quote": "''"}, "--quote"),
        ({"quote": ","}, None),
        ({"quote": ",", "delimiter": ","}, "--quote"),
        ({"quote": ""}, "--quote"),
        ({"escape": "\\\\"}, "--escape"),
        ({"escape": '"'}, "--escape"),
        ({"escape": ""}, "--escape"),
        ({"columns": ("text", "n", "n")}, "--columns names a column twice"),
        ({"columns": ("review", "n")}, "--columns lacks the text column"),
        ({"columns": ("text", "", "")}, None),
    ],
)
def test_options_of_csv_are_checked_and_named(options: dict[str, object], named: str | None) -> None:
    reads = dataclasses.replace(InputConfig(("a.csv",)), **options)  # type: ignore[arg-type]
    if named is None:
        check_reading(reads)
        return
    with pytest.raises(OptionError, match=named):
        check_reading(reads)


# name of the case -> name of the file, its content, the names given, and what the message must say
REFUSED = {
    "a header after all": ("a.csv", "text,label\ngood,1\n", "text,label", "leave --columns out"),
    "too few names": ("a.csv", "good,1,x\n", "text,label", "got:      3 fields in the first record"),
    "another delimiter": ("a.csv", "good;1\n", "text,label", "give --delimiter ';'"),
    "commas or tabs": ("a.csv", "good, really\t1\n", "text,label", "give --delimiter $'\\t' or --delimiter ,"),
    "another format": ("a.jsonl", '{"text": "good"}\n', "text,label", "leave --columns out for this file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_names_that_do_not_fit_the_file_are_refused_with_the_cure(case: str, file: File) -> None:
    name, content, names, said = REFUSED[case]
    with pytest.raises(InputError) as refused:
        read(file(name, content), columns=tuple(names.split(",")))
    assert said in str(refused.value)


def test_single_quotes_are_answered_by_the_option_that_reads_them(file: File) -> None:
    with pytest.raises(InputError, match="the fields are in single quotes") as refused:
        read(file("a.csv", "'id','text'\n'1','good, film'\n'2','bad'\n"))
    assert 'give --quote "\'"' == refused.value.fix
    texts, rejected = read(file("a.csv", "'id','text'\n'1','good, film'\n'2','bad'\n"), quote="'")
    assert (["good, film", "bad"], []) == (texts, rejected)


def test_records_that_single_quotes_would_hold_together_are_rejected_with_that_advice(file: File) -> None:
    path = file("a.csv", "id,text\n1,'good, film'\n2,it's,'fine\n3,'tis good, really\n4,'bad'\n")
    texts, rejected = read(path)
    assert ["'bad'"] == texts
    assert [True, False, False] == ['give --quote "\'"' in rejection.message for rejection in rejected]


def test_missing_column_of_a_file_without_a_header_is_answered_by_options_that_read_it(file: File) -> None:
    words = HEADERLESS.replace(", ", " ").replace(TAB, ",").replace("1", "positive").replace("0", "negative")
    files = {"a.tsv": HEADERLESS, "a.csv": HEADERLESS.replace(", ", " "), "b.csv": words}
    for path in (file(name, content) for name, content in files.items()):
        with pytest.raises(InputError) as refused:
            read(path)
        options = options_in(str(refused.value.fix))
        texts, rejected = read(path, **options)
        assert (3, []) == (len(texts), rejected)


def options_in(said: str) -> dict[str, object]:
    """The reading options that a message gives, as the command line takes them."""
    words = shlex.split(said.replace("$'\\t'", f"'{TAB}'").replace(";", " ").replace("give ", " "))
    taken = [word for at, word in enumerate(words) if word.startswith("--") or words[at - 1].startswith("--")]
    taken = [word for at, word in enumerate(taken) if not {"--text-column"} & {word, *taken[max(0, at - 1) : at]}]
    params = score.make_context("score", ["in", "--output", "out", *taken]).params
    names = ("delimiter", "quote", "columns")
    more = {} if params["input_format"] == "auto" else {"format": params["input_format"]}
    return {name: params[name] for name in names} | more


NOTICES = {
    "labels at the end": ("a.lines", HEADERLESS, {"format": "lines"}, "100% of the lines have a label", 3),
    "labels at the front": ("a.lines", "0\tBad.\n1\tGood.\n0\tVery bad.\n", {"format": "lines"}, "100% of", 3),
    "labels after @": (
        "a.lines",
        "It rose , it said .@positive\nIt fell a bit .@negative\nIt is there .@neutral\nAnd rose .@positive\n",
        {"format": "lines"},
        "100% of the lines have a label beside '@'",
        4,
    ),
    "labels after a bar": ("a.lines", "Good; really.|1\nBad.|0\nFine.|1\n", {"format": "lines"}, "beside '|'", 3),
    "labels after a comma": ("a.lines", '"Good, really.",1\nBad.,0\nFine.,1\n', {"format": "lines"}, "beside ','", 3),
    "one review a line": (
        "a.txt",
        "A fine one.\nDull!\nNever again.\nI liked it\n",
        {},
        "has 4 lines and is scored",
        4,
    ),
    "one review a line, labels": ("a.txt", HEADERLESS, {}, "has 3 lines and is scored as one review", 3),
}


@pytest.mark.parametrize("case", NOTICES)
def test_file_that_looks_otherwise_than_it_is_read_gets_a_notice_whose_options_read_it(case: str, file: File) -> None:
    name, content, options, said, reviews = NOTICES[case]
    path = file(name, content)

    (notice,) = open_inputs(dataclasses.replace(InputConfig((str(path),)), **options)).notices  # type: ignore[arg-type]

    assert notice.startswith(str(path))
    assert said in notice
    assert not any(line.split(TAB)[0] in notice for line in content.splitlines() if len(line.split(TAB)[0]) > 1)
    texts, rejected = read(path, **options_in(notice.partition(";")[2].partition("give")[2]))
    assert (reviews, []) == (len(texts), rejected)
    assert not any(text.endswith(("\t1", "\t0", "|1", "|0", "positive", "negative", "neutral")) for text in texts)


def test_review_taken_for_the_name_of_its_column_gets_a_notice_without_the_review(file: File) -> None:
    path, review = file("a.tsv", HEADERLESS), HEADERLESS.split(TAB, maxsplit=1)[0]

    (notice,) = open_inputs(InputConfig((str(path),), text_column=review)).notices

    assert "the header looks like a record, which is not scored" in notice
    assert "--columns text,label" in notice
    assert "headset" not in notice


@pytest.mark.parametrize(
    "content",
    [
        "One review.\n",
        "Two lines\nof one review\n",
        "Dear all,\n\nI saw this film, and it was good.\n\nYours,\n\nAnn\n",
        "\n".join(
            ["It was a good film, and I have to say that I would see it", "again any time, if only I had more of it,",
             "then there are so many others that I have not seen yet", "and that friends have told me to see as well."]
        ),
    ],
)  # fmt: skip
def test_one_review_of_several_lines_gets_no_notice(content: str, file: File) -> None:
    assert () == open_inputs(InputConfig((str(file("a.txt", content)),))).notices


@pytest.mark.parametrize(
    "lines",
    [
        ["Thanks for nothing @delta", "Three hours late @united", "@delta you are the best @delta"],
        ["Contact me at ann@gmail.com", "Write to bob@gmail.com", "joe@yahoo.com"],
        ["Good product; recommended", "Bad; no", "Good; ok"],
        ["Pros; a good screen", "Cons; the battery", "Pros; the price"],
        ["Lovely film | Trustpilot", "Dull film | Trustpilot", "Never again | Reddit"],
        ["I paid 20|got nothing|sadly", "Good|better|best", "It is what it is|was"],
        ["Good, but slow,no", "Well,yes", "No, never,no"],
        ["Good film;ok", "Bad film;ok", "Fine film;ok"],
    ],
)
def test_signs_that_sentences_have_too_separate_no_labels(lines: list[str], file: File) -> None:
    path = file("a.lines", "".join(line + "\n" for line in lines * 3))
    assert () == open_inputs(InputConfig((str(path),), format="lines")).notices


@pytest.mark.parametrize("name", ["a.lines", "a.txt"])
def test_labels_of_fasttext_are_noticed_with_a_command_that_leaves_them_out(name: str, file: File) -> None:
    path = file(name, "__label__2 Great:\ta film\n__label__1 __label__3 Dull \u00e9\n__label__2 It is  good\n")

    (notice,) = open_inputs(InputConfig((str(path),), format=None if name == "a.txt" else "lines")).notices
    subprocess.run(notice.split("`")[1], shell=True, check=True, timeout=60)

    assert notice.endswith(" and score what it writes with --columns label,text --quote none")
    texts, rejected = read(path.with_name("a.new.tsv"), columns=("label", "text"), quote="none")
    assert (["Great: a film", "Dull \u00e9", "It is  good"], []) == (texts, rejected)


def test_file_far_longer_than_a_review_gets_a_notice(file: File) -> None:
    message = "[2022-02-17, 10:35] Ann: Hello,\n\n\nis it on?\n\n"
    path = file("_chat.txt", message * 2_000)

    (notice,) = open_inputs(InputConfig((str(path),))).notices

    assert notice.startswith(f"{path} has 90 kB and is scored as one review; if it holds several, ")
    assert () == open_inputs(InputConfig((str(file("a.txt", message * 1_000)),))).notices


LONG_QUESTION = "What did you like about the course, and what could we do better next time?"


@pytest.mark.parametrize(
    ("header", "is_header"),
    [
        (f'id,"{LONG_QUESTION}",the text', True),
        (f'n/a,"{LONG_QUESTION}",the text', False),
        (f'7,"{LONG_QUESTION}",the text', False),
        (f'-,"{LONG_QUESTION}",the text', False),
    ],
)
def test_long_names_above_numbers_are_a_header_and_not_a_record(header: str, is_header: bool, file: File) -> None:
    path = file("a.csv", header + "\n" + "".join(f"{n},fine,{'A good one. ' * 20}{n}\n" for n in range(3)))

    with pytest.raises(InputError) as refused:
        read(path)

    fix = "name another with --text-column"
    fix += ", for instance --text-column 'the text'" if is_header else ""
    fix += "" if is_header else "; if the file has no header, name its columns: --columns label,column_2,text"
    assert fix == refused.value.fix
    assert LONG_QUESTION not in str(refused.value)


def test_files_of_addresses_and_numbers_among_reviews_are_named(file: File, tmp_path: Path) -> None:
    for number in range(5):
        file(f"{number}.txt", "It was a good film.")
    file("urls.txt", "http://a.b/c\nhttps://d.e/f\n")
    file("scores.txt", "0.5\n-1\n1e-3\n")

    (notice,) = open_inputs(InputConfig((str(tmp_path),))).notices

    expected = f"{tmp_path}/scores.txt, {tmp_path}/urls.txt: taken as a review, but holds only addresses or numbers"
    assert expected == notice


def test_plan_without_these_options_is_the_one_that_earlier_versions_made(file: File, config: Config) -> None:
    usual = make_plan(config(file("a.csv", "text,n\ngood,1\n")), "model")
    other = make_plan(config(file("a.csv", "text,n\ngood,1\n"), quote="none", escape="\\"), "model")

    assert not {"quote", "escape", "columns"} & usual[0].to_json().keys()
    assert {"quote": "none", "escape": "\\"}.items() <= other[0].to_json().items()
    assert usual[0].plan_hash != other[0].plan_hash == plan_hash(*other)
