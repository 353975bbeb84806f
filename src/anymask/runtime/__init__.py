"""Runtimes: ways to run one Sam fast, all with the same two verbs, encode and decode."""
