"""Everything in an image: a grid of points, three masks each, filtered and freed of duplicates (§5)."""
