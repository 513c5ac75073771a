"""Evaluation: what agents did, level by level, and what may be concluded from it."""
