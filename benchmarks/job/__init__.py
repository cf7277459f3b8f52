"""The whole command beside what a Beam user would write first, and how it grows with the corpus."""
