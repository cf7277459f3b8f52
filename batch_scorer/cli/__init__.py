"""The words of the command line become one config, and one call."""
