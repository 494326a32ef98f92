"""Populations: who the simulated customers are."""
