"""Measurements against named references: ``make bench``.  Nothing here is a timed unit test."""
