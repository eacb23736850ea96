"""Files: atomic writes, a cache by content, and pickles read without running their code."""
