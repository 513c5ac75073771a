"""Episodes to watch: which ones, played again frame by frame, and packed for a page."""
