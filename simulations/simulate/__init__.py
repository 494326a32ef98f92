"""`hushtally simulate`."""
