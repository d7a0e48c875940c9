"""The hub's own JSON API, one module per resource."""
