"""What may be changed without code, and the models that check it."""
