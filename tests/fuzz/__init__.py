"""Bytes that nobody should send: one target per format that comes from outside (`make fuzz`)."""
