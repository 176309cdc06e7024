"""Where bytes arrive: hop 1 of the main path, one module per source."""
