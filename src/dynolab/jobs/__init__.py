"""What can be asked for: one module per type of job."""
