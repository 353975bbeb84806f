"""Labelled images written in the formats that others read (§5)."""
