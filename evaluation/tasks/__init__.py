"""Our own function-completion tasks: what a small model is asked to write, and the hidden tests that decide.

families/*.txt and steps.txt are the tasks as tables (templates.py reads them): what a function is for in several
wordings, how it can be written, which values its constants take, and which of all that training may never see.
chains.py puts steps (steps.py) together, exercises.py fills templates in, cases.py chooses what a solution is tried on.
catalogue.py lists the tasks that evaluation asks; training_exercises.py writes as many others as training wants;
check_tasks.py asks how many wrong solutions (mutants.py) and dishonest ones (tricks.py) the hidden tests let through.
"""
