"""What the hub keeps: tables in PostgreSQL, blobs in an object store."""
