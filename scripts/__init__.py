"""One short script for each task of the person at the keyboard; nothing imports from here."""
