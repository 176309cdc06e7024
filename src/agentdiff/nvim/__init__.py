"""Hop 7: the daemon's client inside Neovim's Python host.

`link` talks to the daemon, `views` knows which lines on the screen are which hunk, `session` keeps
what this Neovim shows up to date, `editor` is the border to pynvim.  Nothing here diffs or decides.
"""
