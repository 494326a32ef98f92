"""Effects: the device's one SQLite file, one module per table."""
