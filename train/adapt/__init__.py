"""Fine-tunes a trained model on a few labels of another kind of text: `python -m train --start-from`."""
