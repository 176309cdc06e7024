"""The daemon: wiring, transports and lifecycle (DESIGN §2)."""
