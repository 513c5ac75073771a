"""Exports: runs and their evaluations in the formats of other tools."""
