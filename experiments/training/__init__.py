"""Training runs: settings, run folders, trackers, progress."""
