"""Pure: what the device and the collector must agree on."""
