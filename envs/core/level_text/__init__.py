"""Levels as text: written, read, explained, and made by hand."""
