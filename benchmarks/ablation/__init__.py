"""What each part of the full recipe is worth, measured on the validation split."""
