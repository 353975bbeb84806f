"""Prediction: from an image and prompts to masks."""
