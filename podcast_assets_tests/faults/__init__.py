"""Faults in real processes and file systems, put in on purpose: nothing is lost, and the bytes are those without the fault."""
