"""Turn one finished run into a page for people: what drives its scores, how far to trust them, and its reviews."""
