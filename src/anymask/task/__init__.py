"""§2, the promptable task: its nouns and rules, without any network."""
