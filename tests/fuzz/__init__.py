"""Fuzzing: hostile input to each reader, loader and printer, with an oracle that counts what becomes of it.

python -m tests.fuzz --inputs 100000 --seed 1                          all targets, in processes of their own
python -m tests.fuzz --coverage-guided --seconds 300 --target jsonl    one target, under atheris
"""
