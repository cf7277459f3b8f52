"""Turns labelled reviews into a model artefact: `python -m train --help`."""
