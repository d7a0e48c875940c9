"""One module per runtime; each is the only place that knows its vendor's library."""
