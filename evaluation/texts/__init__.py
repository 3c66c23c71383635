"""What prose and code look like: signs of form, words, prompts to begin with, and what was copied from the corpus."""
