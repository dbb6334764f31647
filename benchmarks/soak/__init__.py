"""Keep a server under load, and count what it loses and how it grows."""
