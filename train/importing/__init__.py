"""`python -m train import`: a model of Keras, read as data, becomes an artefact."""
