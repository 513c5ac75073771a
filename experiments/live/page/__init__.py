"""The page itself: HTML, a style sheet and scripts, served as they are."""
