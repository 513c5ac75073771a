"""Planners, what planned seekers do on levels, and the cache of such facts."""
