"""A package, because some of its modules are named like modules of ``tests/unit``."""
