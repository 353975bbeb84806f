"""`anymask dataset`: labelled images as a whole."""
