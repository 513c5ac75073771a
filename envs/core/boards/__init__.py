"""Worlds on a board: tiles, walls, layouts, mazes."""
