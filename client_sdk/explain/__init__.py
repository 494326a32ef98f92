"""Pure: explains surveys, and the status of a device, in words."""
