"""Advice on a device: what would disturb measurements on it, and how to mend that."""
