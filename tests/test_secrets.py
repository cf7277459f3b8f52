"""Secrets: nothing that is shown, logged or kept has one, wherever it comes from."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from batch_scorer.cli.main import main
from batch_scorer.config import MessageConfig
from batch_scorer.errors import StoreError
from batch_scorer.escape import command_without_secrets, quoted, report, secrets_in, without_secrets
from batch_scorer.events import error_line, logged
from tests.conftest import REVIEWS

pytestmark = pytest.mark.usefixtures("through_beam")

KEY, PASSWORD = "wJalrXUtnFEMI/K7MDENG", "hunter2:pass/word"

# A text, and what is left of it.
TEXTS = {
    f"GET https://me:{PASSWORD}@host:9000/b": "GET https://***@host:9000/b",
    "GET http://token@host/b?x=1": "GET http://***@host/b?x=1",
    f"'--s3_secret_access_key={KEY}', 'x'": "'--s3_secret_access_key=***', 'x'",
    f"--s3_secret_access_key {KEY} --runner=X": "--s3_secret_access_key *** --runner=X",
    f"['--s3_session_token', '{KEY}', 'x']": "['--s3_session_token', '***', 'x']",
    f'{{"aws_secret_access_key": "{KEY}", "region": "eu"}}': '{"aws_secret_access_key": "***", "region": "eu"}',
    f"x-amz-security-token:{KEY}\nhost:b": "x-amz-security-token:***\nhost:b",
    f"{{'Authorization': b'AWS4-HMAC-SHA256 Credential=A/b, Signature={KEY}'}}": "{'Authorization': b'***'}",
    f"GET /b?X-Amz-Signature={KEY}&x=1": "GET /b?X-Amz-Signature=***&x=1",
    f"password: {KEY}": "password: ***",
    # What is no secret stays as it is.
    "gs://bucket/a@2x.csv": "gs://bucket/a@2x.csv",
    "s3://bucket/me:you@home.csv": "s3://bucket/me:you@home.csv",
    "http://127.0.0.1:9000/bucket/reviews.csv": "http://127.0.0.1:9000/bucket/reviews.csv",
    "the column 'token' is missing\n  got: x": "the column 'token' is missing\n  got: x",
    '"n_tokens": 123456, "tokens": 123456': '"n_tokens": 123456, "tokens": 123456',
    "me@example.org": "me@example.org",
}


@pytest.mark.parametrize("text", TEXTS)
def test_text_loses_its_secrets_and_nothing_else(text: str) -> None:
    assert TEXTS[text] == without_secrets(text)


def test_command_loses_secrets_in_options_and_addresses() -> None:
    given = [
        *("x", "--", f"--s3_secret_access_key={KEY}", "--s3_session_token", KEY, "--some_password", KEY),
        *(f"--s3_endpoint_url=https://me:{PASSWORD}@host", "--s3_endpoint_url", "https://me:pw@host", "--runner=X"),
    ]
    expected = (
        *("x", "--", "--s3_secret_access_key=***", "--s3_session_token", "***", "--some_password", "***"),
        *("--s3_endpoint_url=https://***@host", "--s3_endpoint_url", "https://***@host", "--runner=X"),
    )
    assert expected == command_without_secrets(given)
    assert (KEY, KEY, KEY) == secrets_in(given)


def test_error_loses_its_secrets_as_text_and_as_json() -> None:
    error = StoreError("refused", where=f"https://me:{PASSWORD}@host", got=f"key {KEY}", fix="check the token")
    for shown in (report(error, [KEY]), error_line(error, [KEY])):
        assert [] == [secret for secret in (KEY, PASSWORD) if secret in shown]
    assert "***@host" in report(error) and "check the token" in report(error)
    assert "key ***" == json.loads(error_line(error, [KEY]))["got"]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_log_has_no_secrets_whoever_logs_them(log_format: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with logged(MessageConfig(log_file=str(path), log_format=log_format), [KEY]):
        other = logging.getLogger("somebody.else")
        other.debug("sending %s to https://me:%s@host", {"x-amz-security-token": "abcdef12"}, PASSWORD)
        other.warning("the key is %s", KEY)
        try:
            raise ValueError(f"--s3_secret_access_key={KEY}")
        except ValueError:
            other.exception("it failed")
    text = path.read_text()
    assert [] == [secret for secret in (KEY, PASSWORD, "abcdef12") if secret in text]
    assert "***@host" in text and "the key is ***" in text and "ValueError" in text
    assert 3 == len([json.loads(line) for line in text.splitlines()]) if log_format == "json" else True


def test_run_with_secrets_keeps_and_shows_none(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "r.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for _, text in REVIEWS))
    log, output = tmp_path / "log", tmp_path / "out"
    monkeypatch.setenv("AWS_SESSION_TOKEN", "FQoGZXIvYXdzEXAMPLE")
    words = [
        *("score", str(tmp_path / "r.jsonl"), "--output", str(output), "--model", str(tiny_model)),
        *("--log-file", str(log), "--", f"--s3_endpoint_url=https://me:{PASSWORD}@host", "--s3_session_token", KEY),
    ]
    monkeypatch.setattr(sys, "argv", ["batch-scorer", *words])
    result = CliRunner().invoke(main, words)
    assert 0 == result.exit_code, result.output
    again = CliRunner().invoke(main, words)
    assert (2, True) == (again.exit_code, "not empty" in again.output)
    kept = [path.read_text() for path in output.rglob("*.json*")]
    for text in (result.output, again.output, log.read_text(), *kept):
        assert [] == [secret for secret in (KEY, PASSWORD, "FQoGZXIvYXdzEXAMPLE") if secret in text]
    assert "--s3_endpoint_url=https://***@host" in json.loads((output / "manifest.json").read_text())["command"]


@pytest.mark.parametrize(
    "word", ["a", "my file", "it's", "a\tb", "\t", "\x1b[2J\\", "two\nlines", "\u202ex'", "", "é\udce9"]
)
def test_word_quoted_for_a_shell_is_visible_and_is_that_word_to_the_shell(word: str) -> None:
    assert quoted(word).isprintable()
    printed = subprocess.run(["bash", "-c", f"printf %s {quoted(word)}"], capture_output=True, check=True).stdout
    assert word.encode("utf-8", "surrogateescape") == printed
