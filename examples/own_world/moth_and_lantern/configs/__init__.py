"""Settings files, found by misgen through the entry point `misgen.configs`."""
