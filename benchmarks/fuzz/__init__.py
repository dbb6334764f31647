"""Send odd bodies to a server, and check each answer."""
