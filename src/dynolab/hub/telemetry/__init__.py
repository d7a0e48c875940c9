"""What a hub tells of itself while it runs: metrics for Prometheus."""
