"""How a device is reached: run a command, push and pull files."""
