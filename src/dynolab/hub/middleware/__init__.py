"""What every request passes before it reaches a door: proxies that are believed, bounds of bodies, and of POSTs a second."""
