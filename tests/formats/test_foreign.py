"""Files that are not read are refused before anything runs, with a command that works and cures."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import fastavro
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from batch_scorer.config import InputConfig, ScoreConfig
from batch_scorer.errors import InputError, OptionError
from batch_scorer.escape import python
from batch_scorer.formats.encodings import wide_encoding
from batch_scorer.planning.options import check_reading
from batch_scorer.planning.plan import make_plan
from batch_scorer.scoring.read import read
from tests.formats.test_xlsx import workbook
from tests.processes import GUARD_S

MakeConfig = Callable[..., ScoreConfig]
TEXTS = ["a good café", "a bad film"]
CSV = "text,id\na good café,1\na bad film,2\n"
TABLE = pa.table({"text": TEXTS, "id": [1, 2]})
DICTS = "{'text': 'a good café', 'id': None}\n{'text': \"a bad film\", 'id': True}\n"
XML_SHEET = (
    '<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>\n'
    '<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"\n'
    'xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet">'
    '<Worksheet ss:Name="1"><Table><Row><Cell ss:Index="2"><Data ss:Type="String">id</Data></Cell><Cell ss:Index="4">'
    '<Data ss:Type="String">text</Data></Cell></Row><Row><Cell ss:Index="4"><Data ss:Type="String">a good <B>café</B>'
    '</Data></Cell></Row><Row><Cell/><Cell><Data ss:Type="Number">2</Data></Cell><Cell/><Cell><Data ss:Type="String">'
    "a bad film</Data></Cell></Row></Table></Worksheet></Workbook>"
)
XML = f"<rows>{''.join(f'<row><text>{text}</text><id>{i}</id></row>' for i, text in enumerate(TEXTS))}</rows>"


def texts(settings: ScoreConfig) -> list[str]:
    plan, shards = make_plan(settings, "model")
    return [text for shard in shards for chunk in read(shard, plan.fields) for text in chunk.texts]


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("reviews.csv", CSV)


def _tar(path: Path) -> None:
    (path.parent / "reviews.csv").write_text(CSV)
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        archive.add(path.parent / "reviews.csv", "reviews.csv")
    (path.parent / "reviews.csv").unlink()


def _parquet() -> bytes:
    pq.write_table(TABLE, sink := io.BytesIO())
    return sink.getvalue()


def _avro(path: Path) -> None:
    fields = [{"name": "text", "type": "string"}, {"name": "id", "type": "long"}]
    with path.open("wb") as file:
        fastavro.writer(file, {"type": "record", "name": "row", "fields": fields}, TABLE.to_pylist())


MADE: dict[str, Callable[[Path], object]] = {
    "a b.csv.zip": _zip,
    "-reviews.zip": _zip,
    "it's.tar": _tar,
    "reviews.tar.gz": _tar,
    "reviews.csv.xz": lambda path: path.write_bytes(lzma.compress(CSV.encode())),
    "reviews.xml": lambda path: path.write_text(f'<?xml version="1.0" encoding="utf-8"?>{XML}', encoding="utf-8"),
    "REVIEWS.ORC": lambda path: pyarrow.orc.write_table(TABLE, str(path)),
    "reviews.feather": lambda path: pyarrow.feather.write_feather(TABLE, str(path)),
    "reviews.avro": _avro,
    "utf16.csv": lambda path: path.write_text(CSV, encoding="utf-16"),
    "unicode text.csv": lambda path: path.write_text(CSV.replace(",", "\t"), encoding="utf-16"),
    "unmarked utf16.csv": lambda path: path.write_text(CSV, encoding="utf-16-le"),
    "utf16.jsonl.gz": lambda path: path.write_bytes(gzip.compress('{"text": "a good café"}\n'.encode("utf-16"))),
    "mac.csv": lambda path: path.write_bytes(CSV.replace("\n", "\r").encode()),
    "mac.csv.bz2": lambda path: path.write_bytes(bz2.compress(CSV.replace("\n", "\r").encode())),
    "large mac.csv": lambda path: path.write_bytes(CSV.replace("\n", "\r").encode() + b"a bad film,3\r" * 30_000),
    "quoted mac.csv": lambda path: path.write_bytes(f'"text"\r"{TEXTS[0]}"\r"{TEXTS[1]}"\r'.encode()),
    "mac.jsonl": lambda path: path.write_bytes("\r".join(f'{{"text": "{text}"}}' for text in TEXTS).encode()),
    "reviews.parquet.gz": lambda path: path.write_bytes(gzip.compress(_parquet())),
    "reviews.PQ.bz2": lambda path: path.write_bytes(bz2.compress(_parquet())),
    "really tar.csv.gz": _tar,
    "really tar.csv": _tar,
    "dicts.json": lambda path: path.write_text(DICTS, encoding="utf-8"),
    "dicts.jsonl.gz": lambda path: path.write_bytes(gzip.compress(DICTS.encode())),
    "list.json": lambda path: path.write_text(f"[{DICTS.strip().replace(chr(10), ', ')}]", encoding="utf-8"),
    "long list.json": lambda path: path.write_text(
        f"[{DICTS.strip().replace(chr(10), ',' + chr(10))}]", encoding="utf-8"
    ),
    "utf16.txt": lambda path: path.write_text(TEXTS[0], encoding="utf-16"),
    "unmarked utf16.txt": lambda path: path.write_text(TEXTS[0], encoding="utf-16-le"),
    "text.xls": lambda path: path.write_text(CSV.replace(",", "\t"), encoding="utf-8"),
    "commas.xls": lambda path: path.write_text(CSV, encoding="utf-8"),
    "unicode text.xls": lambda path: path.write_text(CSV.replace(",", "\t"), encoding="utf-16"),
    "new.xls": lambda path: workbook(path, S=[["text", "id"], [TEXTS[0], 1], [TEXTS[1], 2]]),
    "xml.xls": lambda path: path.write_text(XML_SHEET, encoding="utf-8"),
    "really gzip.csv": lambda path: path.write_bytes(gzip.compress(CSV.encode())),
    "really xml.csv": lambda path: path.write_text(f'<?xml version="1.0"?>{XML}', encoding="utf-8"),
}


@pytest.mark.parametrize("name", MADE)
def test_file_that_is_not_read_is_refused_with_a_command_that_cures(
    name: str, folder: Path, config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / name
    MADE[name](path)
    monkeypatch.chdir(folder)
    beside = os.path.dirname(sys.executable)  # as for those who did not activate the environment
    others = [entry for entry in os.environ["PATH"].split(os.pathsep) if entry != beside]
    monkeypatch.setenv("PATH", os.pathsep.join(others))

    with pytest.raises(InputError) as refused:
        make_plan(config(name if name.startswith("-") else path), "model")

    assert (name if name.startswith("-") else str(path)) == refused.value.where
    command = re.search("`(.*)`", refused.value.fix or "")
    assert command, refused.value.fix
    if shutil.which(command[1].split()[0]):  # every command but xz comes with Python, or with every system
        before = path.read_bytes()
        subprocess.run(command[1], shell=True, check=True, executable="/bin/bash", timeout=GUARD_S)
        assert before == path.read_bytes()
        path.unlink()
        (made,) = (entry for entry in os.scandir(folder))
        assert TEXTS == texts(config(made.path))[:2] or TEXTS[:1] == texts(config(made.path))


@pytest.mark.parametrize(
    "written",
    [
        DICTS,
        f"[{DICTS.strip().replace(chr(10), ', ')}]",
        f"[{DICTS.strip().replace(chr(10), ',' + chr(10))}]",
        DICTS.replace("good", "good\\d"),  # no escape of Python's
    ],
)
def test_refusal_of_dicts_has_their_names_and_says_when_one_is_to_be_chosen(
    written: str, folder: Path, config: MakeConfig
) -> None:
    (folder / "dicts.json").write_text(written.replace("'text'", "'reviewText'"), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        make_plan(config(folder / "dicts.json"), "model")
    assert "dicts of reviewText, id" == refused.value.got
    assert str(refused.value.fix).endswith(", with --text-column and the name of the one that is the review")
    with pytest.raises(InputError) as refused:
        make_plan(config(folder / "dicts.json", text_column="reviewText"), "model")
    assert str(refused.value.fix).endswith("and score what it writes")


@pytest.mark.parametrize("rest", ["'secret", "[" * 10_000, "1}}", "\\0"])
def test_refusal_of_dicts_that_are_none_has_no_names(rest: str, folder: Path, config: MakeConfig) -> None:
    (folder / "dicts.json").write_text(f"{{'comment': {rest}\n" * 3, encoding="utf-8")
    with pytest.raises(InputError, match="dicts as Python prints them") as refused:
        make_plan(config(folder / "dicts.json"), "model")
    assert refused.value.got is None
    assert str(refused.value.fix).endswith("and score what it writes")


@pytest.mark.parametrize("kind", ["csv", "lines", "jsonl"])
def test_archive_is_refused_whatever_the_format_is_said_to_be(kind: str, folder: Path, config: MakeConfig) -> None:
    _zip(folder / "reviews.csv.zip")
    with pytest.raises(InputError, match="a ZIP archive"):
        make_plan(config(folder / "reviews.csv.zip", input_format=kind), "model")
    (folder / "reviews.csv.zip").rename(folder / "000000_0")
    with pytest.raises(InputError, match="a ZIP archive"):
        make_plan(config(folder, input_format=kind), "model")


def test_workbook_read_as_text_is_refused(folder: Path, config: MakeConfig) -> None:
    _zip(folder / "a.xlsx")
    with pytest.raises(InputError, match="is an Excel workbook") as refused:
        make_plan(config(folder, input_format="csv"), "model")
    assert "give --input-format xlsx, or leave it out" == refused.value.fix


@pytest.mark.parametrize("name", ["survey.csv", "survey.json", "survey.xlsx.csv"])
def test_workbook_under_the_name_of_text_is_not_taken_for_an_archive(
    name: str, folder: Path, config: MakeConfig
) -> None:
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(InputError, match="is an Excel workbook") as refused:
        make_plan(config(folder / name), "model")
    assert "give --input-format xlsx" == refused.value.fix


def test_archive_in_a_directory_is_skipped_and_named_where_there_is_nothing_else(
    folder: Path, config: MakeConfig
) -> None:
    _zip(folder / "reviews.zip")
    with pytest.raises(InputError, match="no input file matches") as refused:
        make_plan(config(folder), "model")
    assert f"{python()} -m zipfile -e" in (refused.value.fix or "")
    (folder / "reviews.csv").write_text(CSV)

    plan, _ = make_plan(config(folder), "model")
    assert [f"{folder}: skipped 1 .zip file"] == list(plan.notices)


@pytest.mark.parametrize(
    ("names", "fix"),
    [(["000000_0"], "name the format of the files with --input-format: parquet, jsonl, json, xlsx"),
     (["a.xml"], "run `{python} -c 'import sys, pandas; pandas.read_xml("), ([], "check the path; quote globs")],
)  # fmt: skip
def test_directory_without_known_endings_says_how_to_name_the_format(
    names: list[str], fix: str, folder: Path, config: MakeConfig
) -> None:
    for name in names:
        (folder / name).write_text(CSV)
    with pytest.raises(InputError, match="no input file matches") as refused:
        make_plan(config(folder), "model")
    assert (refused.value.fix or "").startswith(fix.format(python=python()))
    if names == ["000000_0"]:
        assert TEXTS == texts(config(folder, input_format="csv"))


def test_file_in_a_store_is_copied_here_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from batch_scorer.formats import foreign

    assert (
        f"run `gcloud storage cp 'gs://b/a b.zip' 'a b.zip' && {python()} -m zipfile -e 'a b.zip' 'a b.unpacked'` "
        in (foreign.refusal("gs://b/a b.zip", ".zip").fix or "")
    )


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.csv", b'text,id\r\n"one\rtwo",1\r\n', ["one\rtwo"]),
        ("a.jsonl", b'{"text": "a PK\\u0003\\u0004"}', ["a PK\x03\x04"]),
        ("a.jsonl", b'{"text": "{\'a\': 1}"}\n', ["{'a': 1}"]),
        ("a.csv", b"text\r", []),
        ("a.csv", b'"text","a\rname"\n', []),
        ("a.csv", b'"text","' + b"a\r" * 200_000 + b'"\n"good","1"\n', ["good"]),
        ("a.jsonl", b'{"text": "good",\r"id": 1}\n', ["good"]),
        ("a.json", b'[{"text": "good"},\r{"text": "bad"}\r]', ["good", "bad"]),
        ("a.txt", b"one\rtwo", ["one\rtwo"]),
        ("a.csv", "text\n本当に良い映画\n".encode(), ["本当に良い映画"]),
    ],
)
def test_text_that_only_resembles_such_files_is_read(
    name: str, data: bytes, expected: list[str], folder: Path, config: MakeConfig
) -> None:
    (folder / name).write_bytes(data)
    assert expected == texts(config(folder))


def test_table_of_parquet_under_another_name_is_named(folder: Path, config: MakeConfig) -> None:
    pq.write_table(TABLE, folder / "a.csv")
    with pytest.raises(InputError, match="the input is Parquet") as refused:
        make_plan(config(folder), "model")
    assert "give --input-format parquet" == refused.value.fix
    assert TEXTS == texts(config(folder, input_format="parquet"))


def test_refusal_of_utf_16_names_the_delimiter_too(folder: Path, config: MakeConfig) -> None:
    (folder / "a.csv").write_text("text;id\ngood;1\n", encoding="utf-16")
    with pytest.raises(InputError, match="is in UTF-16") as refused:
        make_plan(config(folder), "model")
    assert str(refused.value.fix).endswith("a.new.csv` and score what it writes with --delimiter ';'")


@pytest.mark.parametrize(
    ("start", "encoding"),
    [
        (b"\xff\xfeA good film, seen twice", None),  # two odd bytes before plain text
        ("\ufeffA good film".encode("utf-16-le"), "UTF-16"),
        ("\ufeffA good film".encode("utf-16-be"), "UTF-16"),
        ("\ufeff这部电影非常好看值得再看一遍".encode("utf-16-le"), "UTF-16"),  # no byte of it is zero
        ("A good film".encode("utf-16-le"), "UTF-16LE"),
        ("\ufeffA good film".encode("utf-32-le"), "UTF-32"),
        ("这部电影非常好看".encode(), None),
    ],
)
def test_wide_encoding_is_told_by_its_mark_or_its_zero_bytes(start: bytes, encoding: str | None) -> None:
    assert encoding == wide_encoding(start)


def test_encrypted_zip_and_html_named_xls_are_told_from_the_plain_ones(folder: Path, config: MakeConfig) -> None:
    _zip(folder / "a.zip")
    data = bytearray((folder / "a.zip").read_bytes())
    data[6] |= 1
    (folder / "a.zip").write_bytes(data)
    (folder / "b.xls").write_text("\ufeff\n<html><body><table><tr><th>text</th></tr></table></body></html>")
    said = []
    (folder / "c.xls").write_text('<?xml version="1.0"?>\n<rows/>')
    (folder / "d.xls").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    for name in ("a.zip", "b.xls", "c.xls", "d.xls"):
        with pytest.raises(InputError) as refused:
            make_plan(config(folder / name), "model")
        said.append((refused.value.what, (refused.value.fix or "").replace(str(folder), "in").split("`")[1]))

    (zipped, unzip), (html, convert), xml, (_, old) = said
    assert ("the input is an encrypted ZIP archive, which is not read as it is", "7z x in/a.zip -oin/a.unpacked") == (
        zipped,
        unzip,
    )
    assert "the input is a table in HTML, which is not read as it is" == html
    assert convert.startswith(f"{python()} -m pip install lxml && {python()} -c 'import sys, pandas; pandas.read_html(")
    assert convert.endswith(" in/b.xls in/b.csv")
    assert "the input is XML, which is not read as it is" == xml[0]
    assert old.startswith(f"{python()} -m pip install python-calamine && {python()} -c ")


@pytest.mark.parametrize("begin", ["window.YTD.tweets.part0 = [", "var tweets = [", "export const tweets =\n["])
def test_javascript_is_refused_with_a_command_that_leaves_json(
    begin: str, folder: Path, config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    tweets = ",\n".join('{\n"tweet": {"full_text": "' + text + '"}\n}' for text in TEXTS)
    for name, new in (("tweets.js", "tweets.json"), ("a.json", "a.new.json")):
        (folder / name).write_text(f"{begin}\n{tweets}\n];\n\n")
        with pytest.raises(InputError, match="the input is JavaScript, which ") as refused:
            make_plan(config(name, text_column="tweet.full_text"), "model")

        command = (refused.value.fix or "").split("`")[1]
        subprocess.run(command, shell=True, check=True, timeout=60)

        assert new == command.rpartition(" > ")[2]
        assert TEXTS == texts(config(new, text_column="tweet.full_text"))


def test_encoding_that_no_lines_are_read_in_is_refused_with_a_command_for_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "a b.csv").write_text(CSV, encoding="utf-16")
    with pytest.raises(OptionError, match="does not support reading line by line") as refused:
        check_reading(InputConfig(("a b.csv",), encoding="utf_16"))
    fix = refused.value.fix or ""
    subprocess.run(fix.split("`")[1], shell=True, check=True, timeout=60)

    assert fix.endswith("> 'a b.new.csv'` and score what it writes without --encoding")
    assert CSV == (folder / "a b.new.csv").read_text(encoding="utf-8").lstrip("\ufeff")
    with pytest.raises(OptionError) as refused:
        check_reading(InputConfig((".",), encoding="utf_16"))
    assert (refused.value.fix or "").startswith("for each file: run `iconv -f UTF-16 -t UTF-8 < FILE > FILE.new`")
    with pytest.raises(OptionError, match="names no encoding that is known"):
        check_reading(InputConfig((".",), encoding="utf88"))


def test_line_of_a_log_before_records_is_no_javascript(folder: Path, config: MakeConfig) -> None:
    (folder / "a.jsonl").write_text('rows = [1]\n{"text": "good"}\n{"text": "bad"}\n')
    assert ["good", "bad"] == texts(config(folder))
