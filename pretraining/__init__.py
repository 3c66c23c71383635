"""Training, checkpoints and generation."""
