"""The soak: a day of ten agents, five editors and a reviewer, compressed, against a recorder.

``make soak`` runs it; see `tests.soak.__main__`.
"""
