"""Which paths will a tool call touch, before it runs: pure, and only ever sharpens labels.

Edit tools name their paths in the payload, so nothing is needed for them; patches and shell command
lines will be understood here.
"""
