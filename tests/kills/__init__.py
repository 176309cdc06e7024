"""Kills daemons, plugin hosts and Neovims at random points of long runs."""
