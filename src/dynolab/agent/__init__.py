"""The agent: serves one device, claims jobs for it from a hub, and carries them out one at a time."""
