"""The command `hushtally demo`."""
