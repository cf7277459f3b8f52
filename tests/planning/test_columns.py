"""Columns: what each file has, and what is refused before the start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import InputError
from batch_scorer.formats.records import Fields, InputFile
from batch_scorer.planning import columns
from batch_scorer.planning.columns import inspect, is_text, look_into
from batch_scorer.planning.kept import kept_schema
from batch_scorer.planning.listing import list_inputs
from batch_scorer.storage.parallel import read_ahead
from tests.conftest import write

MakeConfig = Callable[..., ScoreConfig]


def parquet(path: Path, **columns: pa.Array) -> Path:
    """A Parquet file with these columns."""
    pq.write_table(pa.table(columns), path)
    return path


def look(config: ScoreConfig) -> list[InputFile]:
    """Lists the inputs and looks into each."""
    return [inspect(file, Fields.of(config.input)) for file in list_inputs(config)]


def test_inspect_missing_text_column_names_those_there_are_and_the_nearest(folder: Path, config: MakeConfig) -> None:
    path = parquet(folder / "a.parquet", id=pa.array([1]), texts=pa.array(["a"]))

    with pytest.raises(InputError, match="the column 'text' is missing") as refused:
        look(config(path))
    assert (str(path), "columns id, texts") == (refused.value.where, refused.value.got)
    assert "name another with --text-column, for instance --text-column texts" == refused.value.fix


def test_inspect_missing_text_column_within_an_object_is_named_rather_than_the_object(
    folder: Path, config: MakeConfig
) -> None:
    path = folder / "a.jsonl"
    path.write_text('{"tweet": {"id": "1", "full_text": "a"}}\n')

    with pytest.raises(InputError) as refused:
        look(config(path))
    assert "name another with --text-column, for instance --text-column tweet.full_text" == refused.value.fix


def test_inspect_missing_column_of_a_file_that_is_not_utf_8_names_its_encoding_in_the_same_go(
    folder: Path, config: MakeConfig
) -> None:
    path = folder / "a.csv"
    path.write_bytes("review\nUn film très drôle, mais trop long\n".encode("latin-1"))
    advice = "name another with --text-column, for instance --text-column review"
    for encoding, more in (
        (
            "utf-8",
            "; the file is not UTF-8: add --encoding cp1252, which would read all of it, if other inputs are in it too",
        ),
        ("cp1252", ""),
    ):
        with pytest.raises(InputError) as refused:
            look(config(path, text_column="reviews", encoding=encoding))
        assert advice + more == refused.value.fix
    good = look(config(path, text_column="review", encoding="cp1252"))
    assert [1] == [file.reviews for file in good]


# Header and first records of a CSV file, the name asked for, what is shown of the columns, and the advice.
HEADERS = {
    "dotted": ("address,categories,city,name,reviews.date,reviews.rating,reviews.text,reviews.title\na,b,c,d,e,1,f,g\n",
               "columns address, categories, city, name, reviews.date, reviews.rating, reviews.text, reviews.title",
               "name another with --text-column, for instance --text-column reviews.text"),
    "words": (",Clothing ID,Review Text\n0,1,A film\n", "columns , Clothing ID, Review Text",
              "name another with --text-column, for instance --text-column 'Review Text'"),
    "tab in a name": ('id,"text\t"\n1,a film\n', "columns id, text\t",
                      "name another with --text-column, for instance --text-column $'text\\t'"),
    "a number": ("1,My doctor Smith in Leeds said so\n2,good\n", "2 columns",
                 "name another with --text-column; if the file has no header, name its columns: --columns label,text"),
    "a label that recurs": ("awful film,negative\nlovely film,positive\ndull,negative\n", "2 columns",
                            "name another with --text-column; if the file has no header, name its columns: "
                            "--columns text,label"),
    "a sentence": ("id,Smith was rude.\na,good\n", "columns id, and 1 other that may be text",
                   "name another with --text-column"),
    "five words": ("id,Smith was rude to me\na,good\n", "columns id, and 1 other that may be text",
                   "name another with --text-column"),
    "years": ("review,2023,2024\na film,3,7\na second film,2,1\n", "columns review, 2023, 2024",
              "name another with --text-column, for instance --text-column review"),
    "years, and none of them": ("Smith was rude,2023\ngood,2024\n", "2 columns",
                                "name another with --text-column; if the file has no header, name its columns: "
                                "--columns text,label"),
    "numbers of the columns": (",0,1\n0,a film,3\n1,a second film,2\n", "columns , 0, 1",
                               "name another with --text-column, for instance --text-column 0"),
    "a header that recurs": ("id,body\n1,good\nid,body\n2,bad\n", "columns id, body",
                             "name another with --text-column, for instance --text-column body"),
    "no name that tells": ("v1,v2,,\nham,Until late in Jurong,,\nspam,Win a prize,,\n", "columns v1, v2, , ",
                           "name another with --text-column, for instance --text-column v2"),
    "one column": ("Smith was rude\ngood\nawful\n", "1 column", "name another with --text-column"),
    "a review": ("is_free_review,review_id,Review\n0,1,A film\n", "columns is_free_review, review_id, Review",
                 "name another with --text-column, for instance --text-column Review"),
    "the last word": ("review_id,year,user_review\na,2016.0,A film\n", "columns review_id, year, user_review",
                      "name another with --text-column, for instance --text-column user_review"),
}  # fmt: skip


@pytest.mark.parametrize("case", HEADERS)
def test_names_of_columns_are_shown_and_what_may_be_a_review_is_not(
    case: str, folder: Path, config: MakeConfig
) -> None:
    content, got, fix = HEADERS[case]
    (folder / "a.csv").write_text(content)
    with pytest.raises(InputError) as refused:
        look(config(folder))
    assert (got, fix) == (refused.value.got, refused.value.fix)
    assert "Smith" not in str(refused.value)


def test_line_that_may_be_a_review_is_not_shown_with_the_delimiter_that_it_may_have(
    folder: Path, config: MakeConfig
) -> None:
    (folder / "a.csv").write_text("Smith was rude; to me\ngood;bad\n")
    with pytest.raises(InputError, match="the header has a single column") as refused:
        look(config(folder))
    assert "a line of 2 fields" == refused.value.got
    assert str(refused.value.fix).startswith("give --delimiter ';' if that separates the columns")


def test_column_whose_name_holds_a_comma_is_named_to_those_who_know_of_a_header(
    folder: Path, config: MakeConfig
) -> None:
    (folder / "a.csv").write_text('id,"Review, Liked","Smith was rude. Liked"\n1,good,1\n')
    advice = "name another with --text-column"
    for name, more in (("text", ""), ("Review", ", for instance --text-column 'Review, Liked'"), ("Liked.", "")):
        with pytest.raises(InputError) as refused:
            look(config(folder, text_column=name))
        assert ("columns id, and 2 others that may be text", advice + more) == (refused.value.got, refused.value.fix)
    assert 1 == len(look(config(folder, text_column="Review, Liked")))


def test_numbers_of_columns_that_pandas_writes_are_a_header(folder: Path, config: MakeConfig) -> None:
    (folder / "a.csv").write_text("0,1\na film,3\na second film,2\n")
    (file,) = look(config(folder, text_column="0"))
    assert ("", 2) == (file.remark, file.reviews)


def test_other_delimiter_is_named_with_the_encoding_and_with_years_as_names(folder: Path, config: MakeConfig) -> None:
    (folder / "a.csv").write_bytes("Critique;2023;2024\nUn film très drôle;5;6\n".encode("latin-1"))
    with pytest.raises(InputError, match="the header has a single column") as refused:
        look(config(folder))
    assert "the line Critique;2023;2024" == refused.value.got
    assert (
        "give --delimiter ';' if that separates the columns, and name the review's column with --text-column, "
        "for instance --text-column Critique; "
        "the file is not UTF-8: add --encoding cp1252, which would read all of it, if other inputs are in it too"
    ) == refused.value.fix
    assert 1 == len(look(config(folder, text_column="Critique", delimiter=";", encoding="cp1252")))


def test_column_that_occurs_twice_is_not_advised(folder: Path, config: MakeConfig) -> None:
    (folder / "a.csv").write_text("text,rating,rating\ngood,1,2\n")
    with pytest.raises(InputError, match="the column 'rating' appears 2 times") as refused:
        look(config(folder, kept=(Kept("rating", "rating"),)))
    assert "rename all but one of them, or name another with --keep" == refused.value.fix


@pytest.mark.parametrize(
    ("name", "content", "what", "option"),
    [
        ("a.csv", 'id;text\n1;good, very\n', "the columns are not separated by ','", "give --delimiter ';'"),
        ("a.csv", '"id";"text"\n1;good\n', "the columns are not separated by ','", "give --delimiter ';'"),
        ("a.csv", "\ufeff\r\nid|text\r\n1|good\r\n", "the columns are not separated by ','", "give --delimiter '|'"),
        ("a.csv", "id\ttext\n1\tgood\n", "the columns are not separated by ','", r"give --delimiter $'\t'"),
        ("a.csv", "a,b\tid\ttext\n1\t2\tgood\n", "the columns are not separated by ','", r"give --delimiter $'\t'"),
        ("a.tsv", "id,text\n1,good\n", "the columns are not separated by a tab", "give --delimiter ,"),
        ("a.csv", "id;a|b;c\n1;good\n", "the column 'text' is missing: the header has a single column",
         "give --delimiter ';' if that separates the columns, and name the review's column with --text-column, "
         "for instance --text-column 'a|b'"),
        ("a.csv", "the text\ngood\n", "the column 'text' is missing",
         "name another with --text-column, for instance --text-column 'the text'"),
    ],
)  # fmt: skip
def test_inspect_other_delimiter_is_named(
    name: str, content: str, what: str, option: str, folder: Path, config: MakeConfig
) -> None:
    (folder / name).write_text(content, encoding="utf-8", newline="")

    with pytest.raises(InputError) as refused:
        look(config(folder))
    assert (what, str(folder / name), option) == (refused.value.what, refused.value.where, refused.value.fix)
    assert "text" in (refused.value.expected or "")


@pytest.mark.parametrize("content", ['"id;text\n1;good\n', "a;text\n", "text\na;b\n", 'text\n"a;b\n'])
def test_inspect_other_delimiter_without_evidence_is_not_suggested(
    content: str, folder: Path, config: MakeConfig
) -> None:
    (folder / "a.csv").write_text(content)
    settings = config(folder, text_column="a;text" if content.startswith("a") else "text")

    (file,) = look(settings)
    assert (content.startswith('"')) == (file.damage is not None)


@pytest.mark.parametrize("remote", [True, False])  # by threads in any case, or as it comes
def test_look_into_many_files_gives_them_in_order_and_names_the_first_that_lacks_a_column(
    remote: bool, folder: Path, config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "read_ahead", lambda work, files, _: read_ahead(work, files, remote))
    paths = write(folder, *(f"{i:02d}.jsonl" for i in range(60)))
    said: list[str] = []
    settings = config(folder)

    files = list(look_into(list_inputs(settings), Fields.of(settings.input), said.append))

    assert look(settings) == files
    assert paths == [file.path for file in files]
    assert ["looking into 60 files, 0 done"] == said
    for i in (50, 33, 34):
        Path(paths[i]).write_text('{"other": "a"}\n')
    with pytest.raises(InputError, match="the column 'text' is missing") as refused:
        list(look_into(list_inputs(settings), Fields.of(settings.input)))
    assert paths[33] == refused.value.where


@pytest.mark.parametrize(
    ("changes", "option"),
    [({"id_column": "nr"}, "--id-column"), ({"kept": (Kept("stars", "out"),)}, "--keep")],
)
def test_inspect_missing_other_column_names_its_option(
    changes: dict[str, object], option: str, folder: Path, config: MakeConfig
) -> None:
    write(folder, "a.jsonl")

    settings = config(folder, **changes)

    with pytest.raises(InputError, match="is missing") as refused:
        kept_schema(look(settings), Fields.of(settings.input))
    assert f"name another with {option}" == refused.value.fix


@pytest.mark.parametrize("column", [pa.array([1]), pa.array([["a"]]), pa.array([1]).dictionary_encode()], ids=str)
def test_inspect_text_column_that_is_not_text_is_refused(column: pa.Array, folder: Path, config: MakeConfig) -> None:
    path = parquet(folder / "a.parquet", text=column)

    with pytest.raises(InputError, match="does not hold text") as refused:
        look(config(path))
    assert refused.value.got


@pytest.mark.parametrize("column", [pa.array([[1]]), pa.array([{"a": 1}])], ids=["list", "struct"])
def test_inspect_id_column_that_cannot_be_text_is_refused(column: pa.Array, folder: Path, config: MakeConfig) -> None:
    path = parquet(folder / "a.parquet", text=pa.array(["a"]), id=column)

    with pytest.raises(InputError, match="'id' cannot be written as text"):
        look(config(path, id_column="id"))


def test_inspect_empty_file_needs_no_columns(folder: Path, config: MakeConfig) -> None:
    parquet(folder / "a.parquet", other=pa.array([], pa.int64()))
    (folder / "b.jsonl").touch()

    assert [(0, None), (0, None)] == [(file.reviews, file.damage) for file in look(config(folder))]


def test_is_text_takes_strings_and_bytes_of_every_kind_only() -> None:
    text = [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.null()]
    text.append(pa.dictionary(pa.int8(), pa.string()))
    other = [pa.int64(), pa.bool_(), pa.list_(pa.string()), pa.dictionary(pa.int8(), pa.int64()), pa.binary(4)]

    assert [True] * len(text) + [False] * len(other) == [is_text(kind) for kind in text + other]


@pytest.mark.parametrize(
    ("kinds", "together"),
    [
        ([pa.int32(), pa.int32()], pa.int32()),
        ([pa.int32(), pa.int64()], pa.int64()),
        ([pa.int64(), pa.float64()], pa.float64()),
        ([pa.null(), pa.string()], pa.string()),
        ([pa.dictionary(pa.int8(), pa.string()), pa.string()], pa.string()),
        ([pa.timestamp("us"), pa.timestamp("ns")], pa.timestamp("ns")),
        ([pa.string(), pa.int64()], None),
        ([pa.list_(pa.int64()), pa.int64()], None),
    ],
    ids=lambda kinds: "_and_".join(map(str, kinds)) if isinstance(kinds, list) else "",
)
def test_kept_schema_of_two_files_unifies_their_types_or_refuses(
    kinds: list[pa.DataType], together: pa.DataType | None, folder: Path, config: MakeConfig
) -> None:
    for i, kind in enumerate(kinds):
        parquet(folder / f"{i}.parquet", text=pa.array(["a"]), k=pa.nulls(1, kind))
    settings = config(folder, kept=(Kept("k", "out"),))

    if together is None:
        with pytest.raises(InputError, match="types that cannot be combined"):
            kept_schema(look(settings), Fields.of(settings.input))
    else:
        assert pa.schema([pa.field("out", together)]) == kept_schema(look(settings), Fields.of(settings.input))


def test_kept_schema_without_any_columns_is_refused(folder: Path, config: MakeConfig) -> None:
    write(folder, "a.txt")
    settings = config(folder, kept=(Kept("k", "out"),))

    with pytest.raises(InputError, match="no input has a column 'k' to keep"):
        kept_schema(look(settings), Fields.of(settings.input))
