"""Effects: sends batches to the collector over the network."""
