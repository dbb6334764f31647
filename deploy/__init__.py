"""Ways to deploy; each is a script of its own, to be read, run and copied."""
