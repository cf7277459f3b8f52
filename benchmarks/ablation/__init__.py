"""What each part of the full recipe is worth, on the validation split."""
