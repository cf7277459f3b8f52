"""Text from anywhere -> text that a terminal shows and does not obey: without controls, bidi marks or half characters.

Imports nothing heavy: a wrong option is answered at once.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from batch_scorer.errors import ScorerError

NAME_CHARACTERS = 60  # of a name, at most, in a message
HIDDEN = "***"  # stands for a secret
_SECRET = r"(?:secret|passw|credential|signature|private.?key|api.?key|token(?!s))"
_SECRET_CHARACTERS = 4  # shorter ones are part of too many words
_OPTION = re.compile(rf"-[\w-]*{_SECRET}[\w-]*", re.IGNORECASE)
# What a secret stands behind: `//user:password@`, `Authorization: `, `--session_token `, `"session_token": "`.
_IN_ADDRESS = re.compile(r"(://)(?:[^/\s@'\"]+|[^/\s@:'\"]*:[^\s@'\"]*)(?=@)")
_IN_HEADER = re.compile(r"(authorization['\"]?\s*[:=]\s*b?['\"]?)[^'\"\r\n]+", re.IGNORECASE)
_BEHIND_NAME = re.compile(
    rf"({_SECRET}[\w-]*(?:['\"]?\s*[:=]\s*b?['\"]?|\s*['\"]\s*,\s*['\"]))[^\s'\",;&]{{4,}}", re.IGNORECASE
)
_BEHIND_OPTION = re.compile(rf"(--[\w-]*{_SECRET}[\w-]*\s+)(?!-)\S+", re.IGNORECASE)


def is_secret(option: str) -> bool:
    """Whether the value of an option is a secret, by the name of the option.

    Example:
        >>> is_secret("--s3_secret_access_key"), is_secret("--s3_endpoint_url")
        (True, False)
    """
    return _OPTION.fullmatch(option) is not None


def without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without `secrets`, and without whatever stands where secrets do: in addresses, headers and settings.

    Example:
        >>> without_secrets("http://me:pw@host/x refused 'session_token': 'abcdef'; key k123", ["k123"])
        "http://***@host/x refused 'session_token': '***'; key ***"
    """
    for secret in secrets:
        text = text.replace(secret, HIDDEN) if len(secret) >= _SECRET_CHARACTERS else text
    if "://" in text:
        text = _IN_ADDRESS.sub(rf"\1{HIDDEN}", text)
    for pattern in (_IN_HEADER, _BEHIND_NAME, _BEHIND_OPTION):
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def command_without_secrets(command: Sequence[str]) -> tuple[str, ...]:
    """A command line that may be shown and kept: secrets among its options, and in addresses, are left out.

    Example:
        >>> command_without_secrets(["--s3_session_token", "x1", "--s3_endpoint_url=https://me:pw@host/"])
        ('--s3_session_token', '***', '--s3_endpoint_url=https://***@host/')
    """
    shown = []
    for before, word in zip(("", *command), command, strict=False):
        name, sign, _ = word.partition("=")
        follows = is_secret(before) and not word.startswith("--")
        hidden = HIDDEN if follows else f"{name}={HIDDEN}" if sign and is_secret(name) else word
        shown.append(without_secrets(hidden))
    return tuple(shown)


def secrets_in(command: Sequence[str]) -> tuple[str, ...]:
    """The secrets among the options of a command line, to be left out of whatever else is shown."""
    values = []
    for before, word in zip(("", *command), command, strict=False):
        name, _, value = word.partition("=")
        if value and is_secret(name):
            values.append(value)
        elif is_secret(before) and not word.startswith("--"):
            values.append(word)
    return tuple(values)


def visible(text: str, keep: str = "") -> str:
    """`text` with white space as spaces, and controls, bidi marks and half characters as �; what is in `keep` stays."""
    return "".join(c if c.isprintable() or c in keep else " " if c.isspace() else "�" for c in text)


def safe(text: object, width: int | None = None, keep_end: bool = False) -> str:
    """`text` on one line, visible, and cut to `width`.

    Args:
        keep_end: cut at the beginning, the least telling part of a path.
    """
    shown = visible(str(text))
    if width is None or len(shown) <= width:
        return shown
    return "…" + shown[len(shown) - width + 1 :] if keep_end else shown[: width - 1] + "…"


def quoted(word: str) -> str:
    """A word as one types it in a shell (bash, zsh, ksh), on one line and in visible characters only.

    Example:
        >>> quoted("my file.csv"), quoted("\\t"), quoted("it's\\x1b[2J")
        ("'my file.csv'", "$'\\\\t'", "$'it\\\\'s\\\\x1b[2J'")
    """
    return shlex.quote(word) if word.isprintable() else f"$'{''.join(map(_ansi_c, word))}'"


def quoted_path(path: str) -> str:
    """A path as `quoted` gives it, which no command takes for an option."""
    return quoted(f"./{path}" if path.startswith("-") else path)


def command(words: Iterable[str]) -> str:
    """Words as a command line to paste."""
    return " ".join(map(quoted, words))


def typed(program: Path) -> str:
    """What to type in this shell, in this directory, to call a program: its name where that is enough, or its path.

    Example:
        >>> typed(Path("/somewhere/else/bin/python3"))
        '/somewhere/else/bin/python3'
    """
    found = shutil.which(program.name)
    if found and Path(found).absolute() == program.absolute():
        return program.name
    with suppress(ValueError):  # it is not below the working directory
        program = program.absolute().relative_to(Path.cwd())
    return quoted(str(program))


def python() -> str:
    """What to type to call the Python that runs this, which has its packages: often not the `python3` of the shell."""
    return typed(Path(sys.executable)) if sys.executable else "python3"


def python_runs(program: str) -> str:
    """What to type to have that Python run the text of a program."""
    return f"{python()} -c {shlex.quote(program)}"


def install(extra: str) -> str:
    """What to type in a checkout of batch-scorer to install one of its extras where this runs."""
    return f"{python()} -m pip install -e '.[{extra}]'"


def _ansi_c(character: str) -> str:
    """A character between `$'` and `'`; half of a surrogate pair stands for a byte of a file name that is not UTF-8."""
    number = ord(character)
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    if character in "\t\n\r":
        return {"\t": "\\t", "\n": "\\n", "\r": "\\r"}[character]
    if number < 0x80 or 0xDC80 <= number <= 0xDCFF:
        return f"\\x{number & 0xFF:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def short(name: str) -> str:
    """A name of any length, shortened for a message."""
    return name if len(name) <= NAME_CHARACTERS else f"{name[: NAME_CHARACTERS - 3]}..."


def counted(count: int, noun: str) -> str:
    """A number and its noun: `1 review`, `2,000 reviews`, `3 directories`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def per_second(rate: float) -> str:
    """A rate, in as many digits as it has a use for, and never as none: `1,234/s`, `0.4/s`, `under 0.1/s`."""
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s" if rate >= 0.1 else "under 0.1/s"


def report(error: ScorerError, secrets: Iterable[str] = ()) -> str:
    """`str(error)` without secrets, in which every line break is ours: nothing it quotes ends a line or begins one."""
    fields = (error.what, error.where, error.expected, error.got, error.fix)
    what, *details = (None if field is None else visible(field) for field in fields)
    where, expected, got, fix = details
    return without_secrets(str(ScorerError(what or "", where=where, expected=expected, got=got, fix=fix)), secrets)


def as_json(value: Any, encoding: str = "utf-8") -> str:
    """`value` as JSON on one line: visible characters as they are, others by their number.

    The value that a reader gets is the same.

    Args:
        encoding: of where it is printed; characters that it lacks are written by their number too.
    """
    return "".join(c if _can_be_seen(c, encoding) else _by_number(c) for c in json.dumps(value, ensure_ascii=False))


def _can_be_seen(character: str, encoding: str) -> bool:
    return character.isprintable() and bool(character.isascii() or character.encode(encoding, "ignore"))


def _by_number(character: str) -> str:
    """`\\uXXXX`, twice beyond U+FFFF. Outside of its strings JSON has no character that would need it."""
    return json.dumps(character)[1:-1]
