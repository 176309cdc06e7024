"""The command trace: launchers in front of the PATH, and what they report."""
