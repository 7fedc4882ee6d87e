"""How good a segment is: signal, text, policies."""
