"""`agentdiff run`: a program in the foreground, and what is told about it."""
