"""The command `hushtally tune`."""
