"""Hydra configurations, found as `pkg://misgen.configs` from any working directory."""
