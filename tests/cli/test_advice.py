"""Advice: what the program says to do next is a command that works, and cures what it stands beside."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from batch_scorer.cli.main import main
from batch_scorer.formats.encodings import guessed
from tests.jobs import rows

# A text, by the encodings that are told apart.
TEXTS = {
    "cp1252": "Un film très drôle, l'été à Paris – « magnifique »",
    "latin-1": "déjà vu \x81 and naïve",
    "cp1250": "Bardzo dobry film, świetna gra aktorów i piękne zdjęcia, choć źle się kończy",
    "cp1251": "Скучный фильм, жаль потраченного времени",
    "koi8-r": "Скучный фильм, жаль потраченного времени",
    "gb18030": "这部电影非常好看，我们都很喜欢",
    "big5": "這部電影非常好看，我們都很喜歡",
    "cp932": "この映画はとても面白かったです。",
    "euc_jp": "この映画はとても面白かったです。",
    "cp949": "정말 좋은 영화 추천합니다",
    "cp1253": "Πολύ καλή ταινία, μου άρεσε",
    "cp1255": "סרט טוב מאוד, אהבתי",
    "cp1256": "فيلم جيد جدا أعجبني",
    "cp874": "ภาพยนตร์ดีมาก ชอบมาก",
}


@pytest.mark.parametrize("name", TEXTS)
def test_encoding_is_guessed_by_the_characters_that_come_out(name: str) -> None:
    lines = [b"a good film, in ASCII", TEXTS[name].encode(name)] * 3
    assert name == guessed(b"\n".join(lines))


def test_encoding_of_text_that_is_utf_8_for_the_most_part_is_not_guessed() -> None:
    good, bad = "très drôle\n".encode(), "très drôle\n".encode("latin-1")
    assert [None, None, None, "cp1252"] == [guessed(data) for data in (b"", good, 2 * good + bad, good + 2 * bad)]


Score = Callable[..., Result]


@pytest.fixture
def score(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Score:
    """Runs commands in this process, in an empty directory, as if typed there: given as words, or as a line."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Result:
        if len(words) == 1:
            words = in_a_shell(words[0])
        monkeypatch.setattr(sys, "argv", ["batch-scorer", *words])
        return CliRunner().invoke(main, words)

    (tmp_path / "model").symlink_to(tiny_model)
    return run


def in_a_shell(line: str) -> tuple[str, ...]:
    """The words that a shell makes of a command line of ours, without its first."""
    printed = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True).stdout
    first, *words = printed.decode("utf-8", "surrogateescape").split("\0")[:-1]
    assert "batch-scorer" == first
    return tuple(words)


def commands(result: Result) -> list[str]:
    """The commands that were printed, each on a line of its own or between backticks."""
    lines = re.findall(r"^(?: {2,15}| {2}next +)(batch-scorer .+)$", result.output, re.MULTILINE)
    return [*lines, *re.findall(r"`(batch-scorer [^`]+)`", result.output)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.csv", "id,text\n1,très drôle\n2,un film à voir\n"),
        ("my file.txt", "très drôle, un film à voir\n"),
        ("it's.tsv", "id\ttext\n1\ttrès drôle\n2\tun film à voir\n"),
    ],
)
def test_texts_in_another_encoding_come_with_the_command_that_reads_all_of_them(
    name: str, content: str, score: Score
) -> None:
    Path(name).write_bytes(content.encode("latin-1"))
    first = score("score", name, "--output", "out", "--model", "model", "--max-error-rate", "1")
    assert (0, 0) == (first.exit_code, len(rows("out")))
    assert f"{name} is not utf-8; cp1252 would read all of it:" in first.output
    (cure,) = (line for line in commands(first) if "--encoding" in line)
    second = score(cure)
    assert (0, []) == (second.exit_code, rows("out", "errors"))
    assert "encoding" not in second.output


@pytest.mark.parametrize("name", ["l.csv", "l.txt", "l.csv.gz"])
def test_file_in_another_encoding_among_others_is_to_be_converted_alone(name: str, score: Score) -> None:
    head = "" if ".txt" in name else "text\n"
    Path("in").mkdir()
    data = (head + "très drôle et à voir et à revoir\n").encode("latin-1")
    Path("in", name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    Path("in/u.csv").write_text("text\nein schönes Café in Köln und naïf\n")
    first = score("score", "in", "--output", "out", "--model", "model", "--max-error-rate", "1")
    assert 0 == first.exit_code
    cure = f"iconv -f CP1252 -t UTF-8 in/{name} > utf-8-{name}"
    assert (cure in first.output) == (not name.endswith(".gz"))
    assert "if all inputs are in cp1252:" in first.output
    # What is there is a success, which no command is to delete.
    assert "the same command with --encoding cp1252 and another --output" in first.output
    assert not [line for line in commands(first) if "--overwrite" in line]
    if cure in first.output:
        assert 0 == os.system(f"cd in && {cure.replace('in/', '')} && rm {name}")
        assert (0, 2) == (score("score", "in", "--output", "o2", "--model", "model").exit_code, len(rows("o2")))


@pytest.mark.parametrize("name", ["u.csv", "u.txt", "u.log"])
def test_file_in_utf_8_that_is_read_in_another_encoding_is_told(name: str, score: Score) -> None:
    form = ("--input-format", "lines") if name == "u.log" else ()
    Path(name).write_text(("text\n" if name == "u.csv" else "") + "ein schönes Café in Köln und naïf\n")
    told = "the file is in UTF-8, and not in cp1252"
    there = score("score", name, *form, "--output", "o1", "--model", "model", "--encoding", "cp1252")
    assert 0 == there.exit_code and told in " ".join(there.output.split())
    for encoding in ("utf8", "utf-8-sig"):
        run = score("score", name, *form, "--output", encoding, "--model", "model", "--encoding", encoding)
        assert 0 == run.exit_code and told not in " ".join(run.output.split())
    Path(name).write_bytes(Path(name).read_text().encode("cp1252"))
    right = score("score", name, *form, "--output", "o2", "--model", "model", "--encoding", "cp1252")
    assert 0 == right.exit_code and told not in " ".join(right.output.split())


def test_records_that_are_rejected_come_with_what_is_wrong_and_the_option_that_reads_them(score: Score) -> None:
    Path("r.csv").write_text('text,id\n"a \\"good\\" film",1\n"so \\"bad\\", it is",2\n')
    first = score("score", "r.csv", "--output", "out", "--model", "model")
    assert 3 == first.exit_code
    (why,) = (line.strip() for line in first.output.splitlines() if "malformed_csv in r.csv: " in line)
    assert why.endswith("; for backslashes before quotes, give --escape '\\'")
    second = score(
        "score", "r.csv", "--output", "out 2", "--model", "model", *why.partition("give ")[2].split()[:1], "\\"
    )
    assert (0, 2) == (second.exit_code, len(rows("out 2")))
    assert "malformed_csv" not in second.output


def test_json_lines_in_another_encoding_come_with_the_command_that_converts_them(score: Score) -> None:
    Path("my r.jsonl").write_bytes('{"text": "très drôle"}\n{"text": "un film à voir"}\n'.encode("latin-1"))
    first = score("score", "my r.jsonl", "--output", "out", "--model", "model", "--max-error-rate", "1")
    (iconv,) = re.findall(r"^ +(iconv .+)$", first.output, re.MULTILINE)
    subprocess.run(["bash", "-c", iconv], check=True)
    second = score("score", "utf-8-my r.jsonl", "--output", "out 2", "--model", "model")
    assert (0, 2) == (second.exit_code, len(rows("out 2")))


def test_one_of_many_files_in_utf_16_comes_with_the_command_that_converts_it(score: Score) -> None:
    Path("in").mkdir()
    Path("in/a.txt").write_text("a good film")
    Path("in/b.txt").write_text("a bad film", encoding="utf-16")
    first = score("score", "in", "--output", "out", "--model", "model", "--max-error-rate", "1")
    assert (0, 1, "the text is in UTF-16") == (
        first.exit_code,
        len(rows("out")),
        *(row["message"] for row in rows("out", "errors")),
    )
    (iconv,) = re.findall(r"^ +(iconv .+)$", first.output, re.MULTILINE)
    subprocess.run(["bash", "-c", iconv], check=True)
    second = score("score", "utf-8-b.txt", "--output", "out 2", "--model", "model")
    assert (0, 1) == (second.exit_code, len(rows("out 2")))


@pytest.mark.parametrize("text", ["-1 out of 10, awful film", "-1 it's $5, 'good'", "--never again"])
def test_text_that_begins_with_a_dash_comes_with_the_command_that_explains_it(text: str, score: Score) -> None:
    first = score("explain", text, "--model", "model")
    assert 2 == first.exit_code
    (cure,) = re.findall(
        r"A TEXT that begins with a dash goes after --\. So: (batch-scorer explain --model .+)", first.output
    )
    assert ("explain", "--model", "model", "--", text) == in_a_shell(cure)


DAMAGED = {
    "cut short": (lambda data: data[:-20], "not a Parquet file, or one that was cut short"),
    "encrypted": (lambda data: data[:-4] + b"PARE", "the file is encrypted"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_file_that_cannot_be_read_is_named_with_the_reason_in_a_run_and_before(damage: str, score: Score) -> None:
    change, why = DAMAGED[damage]
    pq.write_table(pa.table({"text": ["a good film", "a bad film"]}), "ok.parquet")
    for name in ("cut.parquet", "b.parquet", "c.parquet", "d.parquet"):
        Path(name).write_bytes(change(Path("ok.parquet").read_bytes()))
    words = ("score", "ok.parquet", "cut.parquet", "--output", "out", "--model", "model")
    before, run = score(*words, "--dry-run"), score(*words)
    assert (0, 3) == (before.exit_code, run.exit_code)
    later = score("inspect", "out")
    for said in (before.output, run.output, later.output):
        assert f"cut.parquet cannot be read: {why}" in said
    *_, what, accepting = later.output.splitlines()
    assert what == "to accept files that cannot be read; shards with damage are scored again:"
    assert accepting.endswith("--resume --allow-unreadable")
    for said in (run.output, later.output):
        assert (damage != "encrypted") == ("read again what could not be read" in said)
    many = score("score", "*.parquet", "--output", "more", "--model", "model", "--dry-run")
    assert 3 == many.output.count("cannot be read: ") and "and 1 more file" in many.output


def test_commands_after_a_run_work_whatever_the_names_are(score: Score) -> None:
    name = "it's a\t[file] – é.jsonl"
    Path(name).write_text("".join(json.dumps({"text": text}) + "\n" for text in ("a good film", "bad", 5, 6)))
    first = score("score", name, "--output", "out $HOME\t1", "--model", "model")
    assert 3 == first.exit_code
    shown = commands(first)
    assert ["inspect", "report", "sql", "score"] == [line.split()[1] for line in shown]
    assert [0] * 4 == [score(line).exit_code for line in shown]


# The files of a case, the command, and how its refusal is cured: the options that are advised are added to it.
MISTAKES = {
    "another column": ({"r.csv": "id,Review Text\n1,good\n"}, "score r.csv"),
    "a dotted column": ({"r.csv": "id,reviews.text\n1,good\n"}, "score r.csv"),
    "a tab in the name": ({"r.csv": 'id,"text\t"\n1,good\n'}, "score r.csv"),
    "semicolons": ({"r.csv": "id;text\n1;good\n"}, "score r.csv"),
    "tabs": ({"r.csv": "id\ttext\n1\tgood\n"}, "score r.csv"),
    "bars and another name": ({"r.csv": "id|body\n1|good\n"}, "score r.csv --text-column body"),
    "no header": ({"r.csv": "1,a good film indeed\n2,a bad film\n"}, "score r.csv"),
    "kept under a name of ours": ({"r.csv": "logit,text\n1,good\n"}, "score r.csv --keep logit"),
    "kept column misspelt": ({"r.csv": "rating,text\n1,good\n"}, "score r.csv --keep ratings"),
    "id misspelt": ({"r.jsonl": '{"ids": 1, "text": "good"}\n'}, "score r.jsonl --id-column id"),
    "nested": ({"r.jsonl": '{"review": {"text": "good"}}\n'}, "score r.jsonl"),
    "unknown ending": ({"r.log": "good\n"}, "score r.log"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_option_that_a_refusal_advises_cures_it(mistake: str, score: Score) -> None:
    files, line = MISTAKES[mistake]
    for name, content in files.items():
        Path(name).write_text(content)
    words = (*shlex.split(line), "--output", "out", "--model", "model")
    refused = score(*words)
    assert 2 == refused.exit_code, refused.output
    fix = refused.output.partition("to fix:")[2]
    (advised,) = re.findall(r"(--[a-z-]+(?: (?:\$?'(?:[^'\\]|\\.)*'|[^\s,;]+(?:,[^\s,;]+)*))?)", fix)[-1:]
    if mistake == "unknown ending":
        advised += " lines"  # which format it is, only the user knows
    option, *value = in_a_shell(f"batch-scorer {advised}")
    kept = [word for at, word in enumerate(words) if option not in (word, words[at - 1])]
    cured = score(*kept, option, *value)
    assert 0 == cured.exit_code, (advised, cured.output)
    assert rows("out")
