"""Effects: one device, which records, answers and sends."""
