"""Compare thread counts under each memory size's CPU share."""
