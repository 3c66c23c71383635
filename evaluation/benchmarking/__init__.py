"""The four tests of the first README, the first model with its broken tokenizer, and what has become of them since."""
