"""Show where the time of a cold start goes."""
