"""Commits replayed as an agent's work: what we show and restore, against what git says."""
