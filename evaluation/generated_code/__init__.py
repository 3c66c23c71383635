"""Attempts at tasks: written by a model, judged in the sandbox, ranked, counted and shown."""
