"""Show what a server says of damaged model directories."""
