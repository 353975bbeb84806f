"""Where the model and its data improve each other, and training is combined with prediction (§4)."""
