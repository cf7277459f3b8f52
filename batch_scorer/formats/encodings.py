"""Bytes that are not in the expected encoding -> the encoding that they may be in, for advice.

A guess, and said to be one: nearly every encoding of one byte a character reads everything. The likeliest is the one by
which most characters are common ones.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from batch_scorer.config import InputConfig
from batch_scorer.formats.compression import open_text
from batch_scorer.formats.records import DAMAGE

_MARKS = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_PLAIN_SHARE = 0.75  # of printable ASCII; in Chinese as UTF-16, which may have no zero bytes, it is about a half
_READ_BYTES = 16 << 20  # of a file, at most
_HEAD_BYTES = 512
_BY_CHANCE = 4  # fewer letters may look like UTF-8 in an encoding of two bytes a letter
_FEW = 0.4  # of the letters of a text in Latin letters lie beyond ASCII, at most
_ENOUGH = 0.15  # of what lies beyond ASCII are common characters, at least
# Encoding -> the characters beyond ASCII that are common in the languages it is used for.
_LATIN = {
    "cp1252": "éèàçêâîôûùëïäöüßáíóúñãõåøæ’‘“”–—…€£°«»¡¿",
    "cp1250": "ąćęłńóśźżěščřžýáíéúůőűöüäâîţş’“”„–—…",
}
_CYRILLIC = "оеаинтсрвлкмдпуяыьгзбчйх"
_KANA = "のにはをがでとてたしれいるなもあっかすうくらまさよりそだーンスルトアイラッ"
_OTHERS = {
    "gb18030": "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子得着下自年用电影好看，。！",
    "cp932": _KANA,
    "euc_jp": _KANA,
    "cp949": "이다는에의고가을지하로한은기도를서리사나자그대시어아정일인라해거만보스들있제수부게면요습니영화좋",
    "big5": "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子得著下自年用電影好看，。！",
    "cp1251": _CYRILLIC,
    "koi8-r": _CYRILLIC,
    "cp1253": "αοιεστνηρκπλμάίόέήύώς",
    "cp1255": "יוהלארתבשמנםכחדפטקע",
    "cp1256": "اليمونرتبهدعفسحقكجةى",
    "cp874": "านรอกเงมยลวดทสต่้ี",
}


def wide_encoding(start: bytes) -> str | None:
    """UTF-16 or UTF-32, if a text that begins so is in one: by its mark, or by every other byte being zero.

    Two odd bytes before plain text are no mark.
    """
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            rest = start[len(mark) :]
            is_plain = b"\0" not in rest and sum(0x20 <= byte < 0x7F for byte in rest) > _PLAIN_SHARE * len(rest)
            return None if is_plain else name
    half = len(start) // 2
    for first, name in ((0, "UTF-16BE"), (1, "UTF-16LE")):
        if half >= 4 and start[first::2].count(0) > 0.8 * half and start[1 - first :: 2].count(0) < 0.2 * half:
            return name
    return None


def encoding_of(path: str) -> str | None:
    """The encoding that a file may be in, which reads all of it; None if most of it is UTF-8, or it cannot be read.

    Example:
        >>> guessed("Un film très drôle".encode("latin-1")), guessed("Скучный фильм".encode("cp1251"))
        ('cp1252', 'cp1251')
    """
    try:
        with open_text(path) as (stream, _):
            data = stream.read(_READ_BYTES + 1)
    except DAMAGE:
        return None
    if len(data) > _READ_BYTES:  # at the end of a line: it may be in the middle of a character
        data = data[: data.rfind(b"\n") + 1] or data
    return guessed(data)


def utf8_after_all(lines: Sequence[bytes], encoding: str) -> str:
    """What to say of a file in UTF-8 that is read in another encoding, which makes `Ã©` of `é`; or "".

    Example:
        >>> utf8_after_all(["Café, très naïf, à Orléans".encode()], "cp1252")
        'the file is in UTF-8, and not in cp1252: its letters beyond ASCII become others; read it without --encoding'
    """
    if codecs.lookup(encoding).name.startswith(InputConfig.encoding):
        return ""
    try:
        beyond = sum(not character.isascii() for character in b"\n".join(lines).decode())
    except UnicodeDecodeError:
        return ""
    said = f"the file is in UTF-8, and not in {encoding}: its letters beyond ASCII become others"
    return f"{said}; read it without --encoding" if beyond >= _BY_CHANCE else ""


def how_to_decode(path: str, encoding: str) -> str:
    """What to add to the advice on a file that is read as UTF-8, if it is not; or ""."""
    other = encoding_of(path) if encoding == InputConfig.encoding else None
    how = f"add --encoding {other}, which would read all of it, if other inputs are in it too"
    return f"; the file is not UTF-8: {how}" if other else ""


def guessed(data: bytes) -> str | None:
    """The encoding that `data` may be in, if it is not UTF-8; None too if most of its lines beyond ASCII are UTF-8."""
    if wide := wide_encoding(data[:_HEAD_BYTES]):
        return wide
    beyond = [line for line in data.split(b"\n") if not line.isascii()]
    if 2 * sum(_reads(line, "utf-8") for line in beyond) >= len(beyond):
        return None
    sample = b"\n".join(beyond)
    high = sum(byte >= 0x80 for byte in sample)
    letters = sum(byte >= 0x80 or chr(byte).isalpha() for byte in sample)
    known = _LATIN if high <= _FEW * letters else _OTHERS
    score, likeliest = max((_share(sample, name, common), name) for name, common in reversed(known.items()))
    names = (likeliest,) if score >= _ENOUGH else ()
    # The last one reads everything, the one before all but five bytes.
    candidates: tuple[str, ...] = (*names, "cp1252", "latin-1")
    return next(name for name in candidates if _reads(data, name))


def _reads(data: bytes, name: str) -> bool:
    try:
        data.decode(name)
    except UnicodeDecodeError:
        return False
    return True


def _share(data: bytes, name: str, common: str) -> float:
    """The share of what lies beyond ASCII that are common characters; 0 if it is in another encoding."""
    try:
        characters = [character for character in data.decode(name) if not character.isascii()]
    except UnicodeDecodeError:
        return 0.0
    return sum(character in common for character in characters) / max(len(characters), 1)
