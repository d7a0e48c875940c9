"""The dyno itself: the plan, the worker (one process is one run), the supervisor, memory, readings, verdicts."""
