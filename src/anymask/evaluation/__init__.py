"""§7: the zero-shot evaluation, one file a protocol."""
