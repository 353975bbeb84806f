"""Export: a Sam as files that other programs run, made of the modules that run here."""
