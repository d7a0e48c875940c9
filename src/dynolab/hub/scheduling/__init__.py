"""Who runs what next: the queue, and waking those who wait for it."""
