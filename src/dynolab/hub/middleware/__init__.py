"""What every request passes before a handler sees it: trusted proxies, checks of size and type, a limit of POSTs a second."""
