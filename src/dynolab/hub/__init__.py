"""The hub: jobs, models, datasets and devices over HTTP, kept in PostgreSQL and a blob store."""
