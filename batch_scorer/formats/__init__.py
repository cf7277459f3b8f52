"""One module a format, each with the same two functions:

    inspect(file, fields) -> InputFile         looks at a file while planning; never reads it whole
    records(shard, fields, beat) -> Iterator   reads a shard: a `Record` or a `Rejection` each

Both raise one of `records.DAMAGE` for damage; whoever calls turns that into an `unreadable` row.
"""
