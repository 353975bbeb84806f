"""§5: images and masks on disk."""
