"""The formats that labelled images come in, each brought to SA-1B's record when it is read (§5)."""
