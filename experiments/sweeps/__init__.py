"""Sweeps: many runs, trained and evaluated alike."""
