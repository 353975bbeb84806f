"""The store: images, masks and every change to them, in SQLite or PostgreSQL."""
