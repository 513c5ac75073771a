"""Levels for people: shown, edited, checked, played, exported, replayed."""
