"""Which paths will a tool call touch, before it runs: pure, and only ever sharpens labels.

Edit tools name their paths in the payload.  `agentdiff.targets.apply_patch` reads the patches of
Codex, `agentdiff.targets.patch_preview` works out what they do; `agentdiff.targets.shell` reads
command lines, and `agentdiff.targets.reach` puts the answer into an event.
"""
