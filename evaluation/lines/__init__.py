"""Finishing the line at a cursor: the lines asked for, what a guesser would say, and how near an answer is."""
