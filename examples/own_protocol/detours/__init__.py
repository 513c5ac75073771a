"""A protocol for misgen: how far out of its way a shift takes an agent."""
