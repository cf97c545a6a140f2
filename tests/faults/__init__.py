"""Every fault on every wire: what the caller gets, in what time, and what the server sees of it."""
