"""Populations of customers whose true shares are known."""
