"""What protocols do: one module a method."""
