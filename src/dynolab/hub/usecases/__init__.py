"""What can be done with the hub, one verb a file; every door (API, official protocol, pages) calls these."""
