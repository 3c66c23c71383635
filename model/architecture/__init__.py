"""A GPT in four short files: config.py (sizes), rotary.py (positions), layers.py (one block), model.py (the whole)."""
