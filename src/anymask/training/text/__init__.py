"""Training of what understands text: the detector of words, and SAM with CLIP's text as a prompt (appendix D.5)."""
