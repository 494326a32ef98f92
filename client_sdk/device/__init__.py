"""One device: it records, answers and sends. This package reads and writes the state file and uses the network."""
