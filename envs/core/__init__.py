"""What all worlds share: levels, distributions, the engine and its views."""
