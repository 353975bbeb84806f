"""§3, the model."""
