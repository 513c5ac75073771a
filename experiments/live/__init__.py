"""Playing in a browser: a page that is served to this machine alone."""
