r"""The pure heart: what changed, by whom, and what a decision makes of it.

Nothing in this package opens a file, a socket or an environment variable, reads a clock, starts a
thread or imports pynvim; time and ids arrive as fields.  ``tests/unit/test_layers.py`` enforces it.

Conventions that hold in the whole package:

* file content is `bytes`, lines are split on ``\n`` only and keep their terminators;
* a path is `bytes`, relative to the workspace root, ``/``-separated, without a leading ``./``;
* line indices and ranges are 0-based and half-open; `agentdiff.core.view` makes them 1-based.
"""
