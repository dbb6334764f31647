"""Compare this container with a plain one: speed, memory and cost."""
