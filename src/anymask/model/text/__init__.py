"""Text as a prompt: encoders of words and of CLIP, and the detector that turns words into boxes (§3, appendix D.5)."""
