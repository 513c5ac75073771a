"""What all worlds share: levels, distributions, the engine and its three views."""
