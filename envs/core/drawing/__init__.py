"""Sprites painted by code, and palettes."""
