"""What training reads: exactly what `score` reads, record by record, whatever the file."""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import InputError, OptionError
from batch_scorer.models.artifact import Artifact
from batch_scorer.planning.plan import make_plan
from batch_scorer.scoring.encode import encode
from batch_scorer.scoring.read import read
from train.data import Columns, Examples, read_examples, read_texts
from train.sources import Account, ReadOptions, labelled, unlabelled

TEXTS = ("A good film.", "bad, very bad", "It's wonderful")
LABELS = (1, 0, 1)
ROWS = [{"id": f"r{i}", "text": text, "label": y} for i, (text, y) in enumerate(zip(TEXTS, LABELS, strict=True))]
CSV = 'id,text,label\nr0,A good film.,1\nr1,"bad, very bad",0\nr2,It\'s wonderful,1\n'
TSV = CSV.replace('"bad, very bad"', "bad; very bad").replace(",", "\t")
JSONL = "".join(json.dumps(row) + "\n" for row in ROWS)
TABLE = pa.Table.from_pylist(ROWS)


class Odd(NamedTuple):
    """A file or several: how to make them in a folder and what to read there, how, and how many reviews that is."""

    make: Callable[[Path], str]
    reviews: int = 3
    rejected: int = 0
    how: dict[str, Any] = {}  # noqa: RUF012  # never changed
    text: str = "text"


def written(name: str, data: str | bytes) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        return str(folder / name)

    return make


def parquet(*tables: pa.Table, **options: Any) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        for i, table in enumerate(tables):
            pq.write_table(table, folder / f"{i}.parquet", **options)
        return str(folder / "*.parquet")

    return make


def with_column(name: str, column: Any) -> pa.Table:
    return TABLE.set_column(TABLE.column_names.index(name), name, column)


def many(**files: str) -> Callable[[Path], str]:
    """Files by their names, with `/` for `__` and `.` for `_`, in a directory that is read as a whole."""

    def make(folder: Path) -> str:
        for name, data in files.items():
            written(name.replace("__", "/").replace("_", ".").replace("-", "_"), data)(folder)
        return str(folder)

    return make


ODD = {
    "csv": Odd(written("a.csv", CSV)),
    "byte-order mark": Odd(written("a.csv", b"\xef\xbb\xbf" + CSV.encode())),
    "CRLF": Odd(written("a.csv", CSV.replace("\n", "\r\n"))),
    "no last line end": Odd(written("a.csv", CSV.rstrip("\n"))),
    "blank lines": Odd(written("a.csv", CSV.replace("\n", "\n\n"))),
    "line end in quotes": Odd(written("a.csv", CSV.replace("bad, very", "bad,\nvery"))),
    "doubled quotes": Odd(written("a.csv", CSV.replace("bad, very", '""bad"", very'))),
    "quote never closed": Odd(written("a.csv", CSV.replace('very bad"', "very bad")), 2, 1),
    "ragged": Odd(written("a.csv", f"{CSV}r3,three,1,more\nr4\n"), 3, 2),
    "headers only": Odd(written("a.csv", "id,text,label\n"), 0),
    "semicolons": Odd(written("a.csv", CSV.replace(",", ";")), 3, 0, {"delimiter": ";"}),
    "latin-1": Odd(written("a.csv", CSV.replace("good", "café").encode("latin-1")), 3, 0, {"encoding": "latin-1"}),
    "not the encoding": Odd(written("a.csv", CSV.replace("good", "café").encode("latin-1")), 2, 1),
    "tsv": Odd(written("a.tsv", TSV)),
    "quotes in tsv": Odd(written("a.tsv", TSV.replace("A good", '"A good').replace("wonderful", 'wonderful"')), 2, 1),
    "quotes of their own in tsv": Odd(
        written("a.tsv", TSV.replace("A good", '"A good').replace("wonderful", 'wonderful"')), 3, 0, {"quote": "none"}
    ),
    "escaped quotes": Odd(written("a.csv", CSV.replace("bad, very", '\\"bad\\", very')), 3, 0, {"escape": "\\"}),
    "no header": Odd(written("a.txt", TSV.partition("\n")[2]), 3, 0, {"columns": ("id", "text", "label")}),
    "gz": Odd(written("a.csv.gz", gzip.compress(CSV.encode()))),
    "bz2": Odd(written("a.jsonl.bz2", bz2.compress(JSONL.encode()))),
    "zst": Odd(written("a.jsonl.zst", pa.compress(JSONL.encode(), "zstd", asbytes=True))),
    "two gz in one": Odd(written("a.jsonl.gz", gzip.compress(JSONL.encode()) * 2), 6),
    "truncated gz": Odd(written("a.jsonl.gz", gzip.compress(JSONL.encode() * 99)[:-8]), 297, 1),
    "jsonl": Odd(written("a.jsonl", JSONL)),
    "jsonl, mark and CRLF": Odd(written("a.ndjson", b"\xef\xbb\xbf" + JSONL.replace("\n", "\r\n").encode())),
    "broken jsonl": Odd(written("a.json", JSONL + '{"text": "half\n[1]\n'), 3, 2),
    "null, number and wordless texts": Odd(
        written("a.jsonl", JSONL + "".join(f'{{"text": {t}, "label": 1}}\n' for t in ("null", "7", '"?!"', '""'))), 3, 4
    ),
    "nested": Odd(written("a.jsonl", '{"r": {"a": "good"}, "label": 1}\n{"r": null, "label": 0}\n'), 1, 1, {}, "r.a"),
    "dictionary": Odd(parquet(with_column("text", TABLE["text"].dictionary_encode()))),
    "large strings": Odd(parquet(with_column("text", TABLE["text"].cast(pa.large_string())))),
    "bytes": Odd(parquet(with_column("text", pa.array([b"good", b"caf\xe9", None])), row_group_size=2), 1, 2),
    "row groups": Odd(parquet(pa.concat_tables([TABLE] * 3), row_group_size=2), 9),
    "a column twice": Odd(parquet(TABLE.append_column("x", TABLE["id"]).append_column("x", TABLE["id"]))),
    "labels of two types": Odd(parquet(TABLE, with_column("label", pa.array([1.0, 0.0, None]))), 6),
    "several files": Odd(many(a_csv=CSV, sub__b_jsonl=JSONL, sub__c_tsv=TSV, notes_md="no"), 9),
    "partitions": Odd(many(**{"label=1__a_csv": "text\ngood\n", "label=0__b_csv": "text\nbad\nworse\n"}), 3),
    "no ending": Odd(written("reviews", JSONL), 3, 0, {"input_format": "jsonl"}),
    "too large": Odd(written("a.csv", CSV + f"r3,{'good ' * 40},1\n"), 3, 1, {"max_text_bytes": 100}),
}  # fmt: skip


def scored(source: str, odd: Odd, model: Artifact) -> tuple[int, int]:
    """How many reviews `score` would score, and how many records it would reject."""
    config = ScoreConfig.of([source], "nowhere", text_column=odd.text, **odd.how)
    plan, shards = make_plan(config, model.model_id)
    chunks = (chunk for shard in shards for chunk in read(shard, plan.fields))
    encoded = [piece for chunk in chunks for piece in encode(chunk, model.tokenizer)]
    return sum(len(chunk.texts) for chunk in encoded), sum(len(chunk.rejected) for chunk in encoded)


@pytest.mark.parametrize("name", ODD)
def test_training_reads_the_records_that_score_reads(name: str, tmp_path: Path, tiny: Artifact) -> None:
    odd = ODD[name]
    source = odd.make(tmp_path)
    assert (odd.reviews, odd.rejected) == scored(source, odd, tiny)
    reads, account = ReadOptions(**odd.how), Account()
    reviews = list(labelled(source, odd.text, None, "label", reads, account))
    assert (odd.reviews, odd.rejected) == (len(reviews), account.left_out.total())
    unreadable = account.left_out["unreadable"]
    assert (odd.reviews + odd.rejected - unreadable) == account.records
    texts = list(unlabelled(source, odd.text, reads, Account()))
    assert texts == [review.text for review in reviews]


def read_csv(folder: Path, data: str, columns: Columns | None = None, **how: Any) -> tuple[Examples, list[str]]:
    said: list[str] = []
    examples = read_examples(
        [written("a.csv", data)(folder)], columns or Columns(id="id"), ReadOptions(**how), said.append
    )
    return examples, said


def test_examples_have_the_ids_texts_and_labels_of_the_file(tmp_path: Path) -> None:
    examples, said = read_csv(tmp_path, CSV)
    assert (("r0", "r1", "r2"), TEXTS, list(LABELS)) == (examples.ids, examples.texts, examples.labels.tolist())
    assert ["labels in label: 2 positive (1), 1 negative (0)"] == said


def test_reviews_without_an_id_are_told_by_their_text_wherever_they_are(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    here, _ = read_csv(tmp_path, CSV.replace("r1,", ","))
    there, _ = read_csv(tmp_path / "other", CSV, Columns())
    assert ("r0", there.ids[1], "r2") == here.ids
    assert 3 == len({*there.ids})


def test_labels_that_are_missing_or_mean_neither_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = "".join(f"r{i},film {i},{y}\n" for i, y in enumerate(["5", "4.0", "3", "2", "1", "", " ", "NaN"]))
    examples, said = read_csv(tmp_path, f"id,text,stars\n{rows}", Columns("text", "stars", (">=4",), "id", ("<=2",)))
    assert (("r0", "r1", "r3", "r4"), [1, 1, 0, 0]) == (examples.ids, examples.labels.tolist())
    assert ["labels in stars: 2 positive (4, 5), 2 negative (1, 2), 1 neither (3), 3 without a label"] == said
    assert {
        "column": "stars",
        "positive": [">=4"],
        "negative": ["<=2"],
        "counts": {"positive": 2, "negative": 2, "neither": 1, "missing": 3},
    } == examples.labelling


def test_labels_of_texts_that_are_left_out_are_not_in_the_balance(tmp_path: Path) -> None:
    data = "text,label\ngood,1\nbad,0\n,1\n  ,1\n?!,1\nn/a,1\n"
    said: list[str] = []
    source = written("a.csv", data)(tmp_path)
    examples = read_examples([source], Columns(), ReadOptions(null_values=("n/a",)), said.append)
    assert {"missing_text": 1, "no_words": 3} == dict(examples.left_out)
    assert "labels in label: 1 positive (1), 1 negative (0)" == said[-1]
    assert examples.labelling is not None
    assert {"positive": 1, "negative": 1, "neither": 0, "missing": 0} == examples.labelling["counts"]


def test_stars_without_a_rule_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot tell which labels mean positive"):
        read_csv(tmp_path, "text,stars\n" + "".join(f"film,{y}\n" for y in range(1, 6)), Columns(label="stars"))


def test_few_bad_records_are_left_out_and_shown_by_their_place(tmp_path: Path) -> None:
    rows = "".join(f"r{i},film {i},{i % 2}\n" for i in range(200))
    examples, said = read_csv(tmp_path, f"id,text,label\n{rows}r200,more\nr201,?!,1\n")
    assert (200, {"wrong_field_count": 1, "no_words": 1}) == (len(examples), dict(examples.left_out))
    a = tmp_path / "a.csv"
    assert (
        f"skipped 2 of 202 records: 1 wrong_field_count ({a}#200: 2 fields where the header has 3); "
        f"1 no_words ({a}#201: no word in the text)"
    ) == said[0]


@pytest.mark.parametrize(
    ("name", "form", "fix"),
    [
        (
            "a.csv", "скучный фильм,{}\n",
            "name the encoding of the files: --encoding cp1251 would read all of {}, if other files are in it too",
        ),
        ("a.jsonl", '{{"text": "скучный фильм", "label": {}}}\n',
         "convert the files to UTF-8: from cp1251, all of {} can be"),
    ],
)  # fmt: skip
def test_files_that_are_not_utf_8_are_refused_with_the_encoding_that_reads_them(
    name: str, form: str, fix: str, tmp_path: Path
) -> None:
    head = '{"text": "film", "label": 1}\n' if name.endswith("l") else "text,label\n"
    source = written(name, (head + "".join(map(form.format, (0, 1, 0)))).encode("cp1251"))(tmp_path)
    with pytest.raises(InputError, match="too many records cannot be read") as refused:
        read_examples([source], Columns())
    assert fix.format(source) == refused.value.fix


def test_more_bad_records_than_allowed_are_refused_with_the_share_that_would_do(tmp_path: Path) -> None:
    rows = "".join(f"r{i},film {i},{i % 2}\n" for i in range(38))
    data = f"id,text,label\n{rows}r38\nr39\n"
    with pytest.raises(InputError, match="too many records cannot be read") as refused:
        read_csv(tmp_path, data)
    assert "2 of 40: 2 wrong_field_count" in str(refused.value.got)
    assert "--max-error-rate 0.05" in str(refused.value.fix)
    assert 38 == len(read_csv(tmp_path, data, max_error_rate=0.05)[0])


def test_texts_that_are_empty_are_left_out_however_many(tmp_path: Path) -> None:
    examples, said = read_csv(tmp_path, CSV + "r3,,1\n" * 50)
    assert (3, 50) == (len(examples), examples.left_out["no_words"])
    assert said[0].startswith("skipped 50 of 53 records: 50 no_words")


def test_damaged_file_is_refused_unless_it_may_be(tmp_path: Path) -> None:
    source = ODD["truncated gz"].make(tmp_path)
    with pytest.raises(InputError, match="cannot be read, or not to its end") as refused:
        read_examples([source], Columns())
    assert "--allow-unreadable" in str(refused.value.fix)
    assert 297 == len(read_examples([source], Columns(), ReadOptions(allow_unreadable=True)))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", "A good film.\t1\n", "the file has no columns, and so no labels"),
        ("a.json", "A good film.\n", "no record at the start of the file is a JSON object, and so none has a label"),
        ("a.jsonl", "[1, 2]\n", "no record at the start of the file is a JSON object, and so none has a label"),
        ("a.csv", "", "there are no labelled reviews"),
        ("a.csv", "text,label\ngood,\nbad, \n", "there are no labelled reviews"),
        ("a.csv", "text,label\ngood,1\nfine,1\n", "all labelled reviews have the same label"),
        ("a.csv", "text;label\ngood;1\nbad;0\n", "the columns are not separated by ','"),
        ("a.csv", "body,label\ngood,1\n", "the column 'text' is missing"),
        ("a.csv", "text,stars\ngood,1\n", "the column 'label' is missing"),
        ("a.xyz", "text,label\n", "does not show its format"),
        ("a.npz", "", "does not show its format"),
    ],
)
def test_files_that_nothing_can_be_learnt_from_are_refused(name: str, data: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        read_examples([written(name, data)(tmp_path)], Columns())
    refused.match(message)
    assert refused.value.where


def test_missing_label_column_names_its_option(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        read_csv(tmp_path, CSV, Columns(label="labels"))
    assert "name another with --label-column, for instance --label-column label" == refused.value.fix


def test_missing_label_column_of_a_file_that_is_not_utf_8_names_its_encoding_in_the_same_go(tmp_path: Path) -> None:
    source = written("a.csv", b"text,sentiment\nUn film tr\xe8s dr\xf4le,1\nd\xe9cevant,0\n")(tmp_path)
    with pytest.raises(InputError) as refused:
        read_examples([source], Columns(label="sentiments"))
    assert (
        "name another with --label-column, for instance --label-column sentiment; "
        "the file is not UTF-8: add --encoding cp1252, which would read all of it, if other inputs are in it too"
    ) == refused.value.fix
    assert 2 == len(read_examples([source], Columns(label="sentiment"), ReadOptions(encoding="cp1252")))


def test_label_column_of_lists_is_refused(tmp_path: Path) -> None:
    source = parquet(with_column("label", pa.array([[1], [0], [1]])))(tmp_path)
    with pytest.raises(InputError, match="the column 'label' cannot be written as text") as refused:
        read_examples([source], Columns())
    assert "name another with --label-column" == refused.value.fix


def test_directory_laid_out_like_aclimdb_is_read_by_folder(tmp_path: Path) -> None:
    for name, text in (("pos/1_9", "good"), ("neg/0_2", "bad\x85"), ("pos/0_8", "fine"), ("unsup/7_0", "a film")):
        written(f"train/{name}.txt", text)(tmp_path)
    written("imdb.vocab", "the\n")(tmp_path)
    written("test/pos/9_9.txt", "best")(tmp_path)
    said: list[str] = []
    examples = read_examples([str(tmp_path)], Columns(), say=said.append)
    assert ("pos/0_8", "pos/1_9", "neg/0_2") == examples.ids
    assert (("fine", "good", "bad\x85"), [1, 1, 0]) == (examples.texts, examples.labels.tolist())
    assert ["labels by folder: 2 positive (pos/), 1 negative (neg/)"] == said
    assert {"column": None, "positive": ["pos/"], "negative": ["neg/"]}.items() <= (examples.labelling or {}).items()
    assert ["a film"] == read_texts([str(tmp_path)], Columns())
    assert ["a film"] == read_texts([str(tmp_path / "train")], Columns())


def test_folders_and_files_are_read_together(tmp_path: Path) -> None:
    for name in ("in/pos/1", "in/neg/2"):
        written(f"{name}.txt", "a film")(tmp_path)
    stars = written("stars.csv", "text,stars\ngood,5\nmeh,3\nbad,1\n")(tmp_path)
    examples = read_examples([str(tmp_path / "in"), stars], Columns("text", "stars", ("5",), None, ("1",)))
    assert [1, 0, 1, 0] == examples.labels.tolist()
    labelling = examples.labelling or {}
    assert ("stars", {"positive": 2, "negative": 2, "neither": 1, "missing": 0}) == (
        labelling["column"],
        labelling["counts"],
    )


def test_texts_without_any_word_are_no_texts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no texts without labels were found"):
        read_texts([written("a.txt", "?!")(tmp_path)], Columns())
