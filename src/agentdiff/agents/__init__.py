"""Hop 2: what an agent sends becomes the facts of `agentdiff.core.events`, or `MalformedPayload`.

One module per agent with one function ``parse(payload, received_ns)``; `agentdiff.agents.registry`
finds it by the name on the hook command line.  Pure like `agentdiff.core`: no file, socket, clock
or environment.  A payload is text that a stranger wrote: nothing in it is evaluated, no path in it
is trusted before `agentdiff.workspace` has confined it.
"""
