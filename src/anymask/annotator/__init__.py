"""The annotator: a page on which people make masks with the model, and its server."""
