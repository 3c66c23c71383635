"""Questions about code that are answered without running any: choices between two pieces, names, signatures."""
