"""Running programs that nobody has read: safe, fast, and with verdicts that can not be faked.

Three parties, each a process of its own. A **judge** (judge.py) owns the tests and compares; a small **fork server**
(fork_server.py), never near PyTorch or a test, makes one **child** (child.py) for each program; the child locks itself
in (linux.py, macos.py), runs the program, and can do nothing but answer calls in plain data (wire.py). pool.py starts
and feeds them; doctor.py says what holds on this machine. Standard library alone.
"""
