"""The footer of a Parquet file without the columns that nobody asked for: one of a type that Arrow does not know, or of
a name that is no text, would make all others unreadable.

In and out: the bytes of a footer (parquet.thrift).
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from batch_scorer.formats.parquet import thrift

_SCHEMA, _ROW_GROUPS, _ORDERS = 2, 4, 7  # of FileMetaData
_NAME, _CHILDREN = 4, 5  # of SchemaElement
_COLUMNS = 1  # of RowGroup


def only(footer: bytes, names: Collection[str]) -> bytes:
    """The footer with the columns that hold `names`, which may be fields of structs, `a.b`.

    Raises:
        thrift.Malformed, IndexError: it is damaged.
    """
    fields = {field.number: field for field in thrift.fields(footer)[0] if field.kind == thrift.LIST}
    if _SCHEMA not in fields:
        raise thrift.Malformed("no schema")
    schema, leaves = _schema(footer, fields[_SCHEMA], [name.encode("utf-8", "surrogateescape") for name in names])

    def chosen(data: bytes, field: thrift.Field) -> bytes:
        items = _items(data, field)
        return _list([data[start:end] for start, end in (items[at] for at in leaves if at < len(items))])

    def row_groups(data: bytes, field: thrift.Field) -> bytes:
        return _list([_spliced(data, start, end, {_COLUMNS: chosen}) for start, end in _items(data, field)])

    changes = {_SCHEMA: lambda _, __: schema, _ROW_GROUPS: row_groups, _ORDERS: chosen}
    return _spliced(footer, 0, len(footer), changes)


def _items(data: bytes, field: thrift.Field) -> list[tuple[int, int]]:
    """Where each struct in a list begins and ends."""
    starts = thrift.starts(data, field.start)
    return list(zip(starts, [*starts[1:], field.end], strict=False))


def _spliced(data: bytes, start: int, end: int, changes: dict[int, Callable[[bytes, thrift.Field], bytes]]) -> bytes:
    """The struct in `data` from `start` to `end`, with other lists for the fields that `changes` names."""
    pieces, at = [], start
    for field in thrift.fields(data, start)[0]:
        if field.number in changes and field.kind == thrift.LIST:
            pieces += [data[at : field.start], changes[field.number](data, field)]
            at = field.end
    return b"".join([*pieces, data[at:end]])


def _schema(footer: bytes, field: thrift.Field, names: list[bytes]) -> tuple[bytes, list[int]]:
    """The list of schema elements of the chosen columns, and which leaves of the old schema these are."""
    items = _items(footer, field)
    elements = [thrift.fields(footer, start)[0] for start, _ in items]
    children = [thrift.numbers(footer, element).get(_CHILDREN, 0) for element in elements]
    kept, leaves, columns, at, leaf = list[bytes](), list[int](), 0, 1, 0
    while at < len(elements):
        last, left, begun = at, 1, leaf
        while left:
            left += children[last] - 1
            leaf += not children[last]
            last += 1
        if _is_asked(footer, elements[at], names):
            kept += [footer[start:end] for start, end in items[at:last]]
            leaves += range(begun, leaf)
            columns += 1
        at = last
    root = [f for f in elements[0] if f.number == _CHILDREN]
    if not root:
        raise thrift.Malformed("a schema without columns")
    head = footer[items[0][0] : root[0].start] + thrift.as_varint(2 * columns) + footer[root[0].end : items[0][1]]
    return _list([head, *kept]), leaves


def _is_asked(footer: bytes, element: list[thrift.Field], names: list[bytes]) -> bool:
    fields = [field for field in element if field.number == _NAME and field.kind == thrift.BINARY]
    name = footer[thrift.varint(footer, fields[0].start)[1] : fields[0].end] if fields else b""
    return any(asked == name or asked.startswith(name + b".") for asked in names)


def _list(structs: list[bytes]) -> bytes:
    size = len(structs)
    head = bytes([size << 4 | thrift.STRUCT]) if size < 15 else bytes([0xF0 | thrift.STRUCT]) + thrift.as_varint(size)
    return head + b"".join(structs)
