"""Pictures of levels and of the ways agents take through them."""
