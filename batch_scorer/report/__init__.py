"""A page on one finished run, for people: what it found, how far it can be trusted, and the reviews themselves."""
