"""The state file of a device: one SQLite database, one module per table."""
