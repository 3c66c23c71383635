"""Training recipes beside each other, nanoGPT's among them, and where the time of a step goes."""
