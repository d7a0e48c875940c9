"""The hub in a browser: pages made on the server, which can be read without JavaScript."""
