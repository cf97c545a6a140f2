"""`llmring lock`: the lockfile as a whole."""
