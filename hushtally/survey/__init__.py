"""`hushtally survey`."""
