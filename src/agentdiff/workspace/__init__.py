"""Owns everything that touches a workspace on disk, and what is remembered of it."""
