"""Agents under perturbed observations."""
