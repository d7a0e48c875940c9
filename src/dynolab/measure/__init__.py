"""The dyno itself: the plan, the policy (host), the executor (device), the worker (one process is one run), memory, readings, verdicts."""
