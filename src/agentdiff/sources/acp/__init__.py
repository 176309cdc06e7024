"""`agentdiff acp`: a transparent proxy between an editor plugin and an agent."""
