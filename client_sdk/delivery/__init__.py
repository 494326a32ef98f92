"""Effects: the network. Sends batches to the collector."""
