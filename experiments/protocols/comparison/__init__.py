"""Protocols compared on agents whose goals are known."""
