"""The two exceptions of agentdiff, split by whose fault they are.

Owns nothing else.  A foreign payload that cannot be understood is `MalformedPayload`: dropped,
counted, shown by ``agentdiff doctor``.  A broken promise of our own code is `InvariantBroken`: a
bug.
"""


class MalformedPayload(Exception):  # noqa: N818 - reads as a fact, like the events
    """A payload from outside does not have the shape its sender promised.

    Args:
        reason: what is wrong, naming the field.
        field: dotted path of the offending field, empty for the whole payload.
    """

    def __init__(self, reason: str, *, field: str = "") -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.reason = reason
        self.field = field


class InvariantBroken(Exception):  # noqa: N818 - see above
    """Our own state contradicts itself; the message names the invariant of DESIGN (P1…P15)."""
