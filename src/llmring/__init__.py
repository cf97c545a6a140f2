"""llmring: one alias, any provider, the same stream."""
