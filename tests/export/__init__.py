"""Models for other servers."""
