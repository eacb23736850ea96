"""Continuous surface embeddings (CSE; Neverova et al., NeurIPS 2020)."""
