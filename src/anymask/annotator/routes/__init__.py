"""The routes of the annotator, a file for each kind of thing."""
