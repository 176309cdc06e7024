"""Faults of the machine, against real processes (`make faults`)."""
