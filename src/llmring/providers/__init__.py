"""Who travels: one thin adapter for each official SDK, found by name and imported on first use."""
