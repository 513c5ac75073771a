"""Pictures of levels and of the paths that agents take through them."""
