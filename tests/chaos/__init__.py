"""Chaos: faults strike real jobs at random moments; afterwards every row must be there, once, byte for byte.

`corpora` makes inputs and a model, `jobs` starts and watches the command, `faults` are the things that happen,
`verdict` judges the result, `trials` ties it all together, `table` adds it up. `python -m tests.chaos --help`.

With `--store`, a `proxy` before an object store does the harm: see `store_faults`, `store_trials`, and `race`.
"""
