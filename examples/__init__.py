"""Real models to prove: one trained on handwritten digits, and a pretrained sentence encoder."""
