"""What each token of held-out text costs a model, in bits: by source, by kind of token, and beside n-grams."""
