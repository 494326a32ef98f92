"""`hushtally demo`."""
