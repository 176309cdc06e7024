"""Reversible edits of agents' configuration: what an agent has to run, so that we hear of it.

One module per agent says which file, which hooks and what is ours in it;
`agentdiff.install.registry` reads, writes, backs up and remembers.  Everything that we did not
write stays byte for byte.
"""
