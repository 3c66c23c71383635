"""Looking at a training from outside: how far it is, how that is shown, and what to type next.

Reads logs, locks and settings; changes nothing. Standard library alone, so that it works before anything is installed.
"""
