"""Values inside of a model, tensor by tensor: one file per runtime that can tell them, behind ``base``."""
