"""Check every architecture, served and packed."""
