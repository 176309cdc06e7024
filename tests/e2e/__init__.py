"""End-to-end tests: real agents, a real daemon, a real Neovim, a scripted model."""
