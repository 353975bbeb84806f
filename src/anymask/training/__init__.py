"""Training: the recipe of the paper's appendix A."""
