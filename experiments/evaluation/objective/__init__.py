"""The behavioural objective: which objective explains an agent's actions best."""
