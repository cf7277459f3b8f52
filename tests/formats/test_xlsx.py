"""Excel workbooks: cells keep their types, sheets are found by name, and bombs are refused before they are read."""

from __future__ import annotations

import datetime as dt
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyarrow as pa
import pytest

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import InputError
from batch_scorer.escape import python
from batch_scorer.formats import xlsx_size
from batch_scorer.planning.plan import make_plan
from batch_scorer.scoring.read import read

MakeConfig = Callable[..., ScoreConfig]
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"
EPOCH = dt.datetime(1899, 12, 30)


def cell(value: Any) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
    if isinstance(value, dt.datetime):
        return f'<c s="1"><v>{(value - EPOCH) / dt.timedelta(days=1)}</v></c>'
    return f"<c><v>{value!r}</v></c>"


def workbook(path: Path, more: str = "", **sheets: list[list[Any]]) -> Path:
    """A workbook with these sheets; `more` is added to the first."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        parts = "".join(
            f'<Override PartName="/xl/worksheets/sheet{i}.xml" ContentType="{SHEET}.worksheet+xml"/>'
            for i in range(len(sheets))
        )
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{TYPES}"><Default Extension="rels" ContentType="application/xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{SHEET}.sheet.main+xml"/>{parts}</Types>',
        )
        root = f'<Relationship Id="r" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
        archive.writestr("_rels/.rels", f'<Relationships xmlns="{PACKAGE}">{root}</Relationships>')
        names = "".join(f'<sheet name="{name}" sheetId="{i + 1}" r:id="r{i}"/>' for i, name in enumerate(sheets))
        archive.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{names}</sheets></workbook>'
        )
        targets = "".join(
            f'<Relationship Id="r{i}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{i}.xml"/>'
            for i in range(len(sheets))
        )
        styles = f'<Relationship Id="s" Type="{OFFICE}/styles" Target="styles.xml"/>'
        archive.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{PACKAGE}">{targets}{styles}</Relationships>'
        )
        formats = '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="22" applyNumberFormat="1"/></cellXfs>'
        archive.writestr("xl/styles.xml", f'<styleSheet xmlns="{MAIN}">{formats}</styleSheet>')
        for i, rows in enumerate(sheets.values()):
            data = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
            archive.writestr(
                f"xl/worksheets/sheet{i}.xml",
                f'<worksheet xmlns="{MAIN}"><sheetData>{data}{more if i == 0 else ""}</sheetData></worksheet>',
            )
    return path


def outcome(settings: ScoreConfig) -> tuple[list[tuple[Any, ...]], list[tuple[int | None, str, bool]], pa.Schema]:
    plan, shards = make_plan(settings, "model")
    chunks = [chunk for shard in shards for chunk in read(shard, plan.fields)]
    names = plan.fields.kept_schema.names
    scored = [
        (row["offset"], row["record_id"], text, *(row[name] for name in names))
        for chunk in chunks
        for row, text in zip(chunk.reviews.to_pylist(), chunk.texts, strict=True)
    ]
    rejected = [(r.offset, r.code, r.is_empty) for chunk in chunks for r in chunk.rejected]
    return scored, rejected, plan.fields.kept_schema


NOON = dt.datetime(2024, 2, 29, 12)
ROWS: list[list[Any]] = [
    [None, None],
    ["id", "text", "stars", "share", "when", "sure", "mixed", None],
    [17, "good <film> & café", 5, 0.5, NOON, True, 1],
    [18.5, "  two\nlines", None, 1, None, False, "x"],
    [],
    ["nineteen", None, 4],
    [None, 7, 4],
    [21, " ", 4],
    [22, "short row"],
]


def test_cells_keep_their_types_and_rows_their_places(folder: Path, config: MakeConfig) -> None:
    workbook(folder / "a.xlsx", Reviews=ROWS, Notes=[["text"], ["not this"]])
    kept = tuple(Kept(name, name) for name in ("stars", "share", "when", "sure", "mixed"))

    scored, rejected, schema = outcome(config(folder, id_column="id", kept=kept))

    assert [pa.int64(), pa.float64(), pa.timestamp("us"), pa.bool_(), pa.string()] == schema.types
    assert [
        (0, "17", "good <film> & café", 5, 0.5, NOON, True, "1"),
        (1, "18.5", "  two\nlines", None, 1.0, None, False, "x"),
        (6, "22", "short row", *[None] * 5),
    ] == scored
    assert [(3, "missing_text", True), (4, "text_not_a_string", False), (5, "missing_text", True)] == rejected


def test_sheet_is_chosen_by_name_or_refused_with_those_there_are(folder: Path, config: MakeConfig) -> None:
    workbook(folder / "a.xlsx", First=[["text"], ["one"]], Second=[["text"], ["two"]])

    assert ["two"] == [row[2] for row in outcome(config(folder, sheet="Second"))[0]]
    assert ["one"] == [row[2] for row in outcome(config(folder))[0]]
    with pytest.raises(InputError, match="no sheet 'Third'") as refused:
        make_plan(config(folder, sheet="Third"), "model")
    assert "First, Second" == refused.value.expected


def test_workbook_without_the_package_is_refused_with_the_command_that_installs_it(
    folder: Path, config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    workbook(folder / "a.xlsx", A=[["text"], ["one"]])
    monkeypatch.setitem(sys.modules, "python_calamine", None)

    with pytest.raises(InputError, match="a package that is not installed") as refused:
        make_plan(config(folder), "model")
    assert f"{python()} -m pip install python-calamine" in (refused.value.fix or "")


def test_sheet_without_text_column_or_rows(folder: Path, config: MakeConfig) -> None:
    workbook(folder / "a.xlsx", A=[["Review"], ["one"]])
    with pytest.raises(InputError, match="the column 'text' is missing"):
        make_plan(config(folder), "model")
    workbook(folder / "a.xlsx", A=[])
    assert ([], []) == outcome(config(folder))[:2]


def damaged(config: ScoreConfig) -> str:
    """Why the only file is unreadable."""
    plan, shards = make_plan(config, "model")
    (rejection,) = (r for shard in shards for chunk in read(shard, plan.fields) for r in chunk.rejected)
    assert "unreadable" == rejection.code
    return rejection.message


def test_bombs_and_damage_are_unreadable_before_they_are_read(
    folder: Path, config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "a.xlsx"
    far = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    workbook(path, far, A=[["text"], ["one"]])
    assert "1,048,576 rows and 16,384 columns" in damaged(config(folder))
    workbook(path, far.replace('"', "'"), A=[["text"], ["one"]])
    assert "1,048,576 rows" in damaged(config(folder))

    monkeypatch.setattr(xlsx_size, "INFLATED_BYTES", 1 << 20)
    workbook(path, A=[["text"], ["a" * (1 << 20)]])
    data = path.read_bytes()
    assert len(data) < 1 << 14
    assert "inflates to more than" in damaged(config(folder))

    workbook(path, A=[["text"], ["one"]])
    data = path.read_bytes()
    for broken in (
        data[:-30],
        b"PK\x03\x04",
        b"\xd0\xcf\x11\xe0 encrypted",
        data.replace(b"PK\x03\x04", b"PK\x03\x05", 2),
    ):
        path.write_bytes(broken)
        assert damaged(config(folder))


def test_encrypted_workbook_is_said_to_be_encrypted(folder: Path, config: MakeConfig) -> None:
    header = bytearray(512)
    header[:8], header[30:32], header[48:52] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\x09\0", b"\x01\0\0\0"
    entries = b"".join(name.encode("utf-16-le").ljust(128, b"\0") for name in ("Root Entry", "EncryptedPackage"))
    (folder / "a.xlsx").write_bytes(header + bytes(512) + entries)
    assert "the workbook is encrypted: save it without a password" == damaged(config(folder))

    (folder / "a.xlsx").write_bytes(header + bytes(512) + entries.replace(b"E\0n\0c", b"D\0n\0c"))
    assert "not an Excel workbook, or one that is damaged" == damaged(config(folder))


def test_every_changed_byte_of_a_workbook_ends_as_records_or_damage(folder: Path, config: MakeConfig) -> None:
    path = workbook(folder / "a.xlsx", A=[["text"], ["one"], ["two"]])
    data = path.read_bytes()
    for at in range(0, len(data), 97):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        try:
            outcome(config(folder))
        except InputError as error:
            assert "is missing" in error.what or "sheet" in error.what
