"""agentdiff: tracks what coding agents change in a tree and lets people review it."""

__version__ = "0.1.0"
