"""Is an export the model that it was made from? Each is read back by the program that it is meant for, and compared.

check.py compares token ids, log-probabilities and greedy continuations on the texts of texts.py. A reader (reader.py)
asks transformers, llama.cpp or MLX; plain_reader.py takes their place where they are not installed. rounding.py says
what a smaller dtype costs, card.py writes what a stranger should know of the model.
"""
