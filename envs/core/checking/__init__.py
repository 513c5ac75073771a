"""The promises that all worlds make, as checks: `world_checks.check_world` runs them all."""
