"""CoinRun's planner: a search over the game's own physics."""
