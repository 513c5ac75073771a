"""Evaluation: what agents did, level by level, and what follows from it."""
