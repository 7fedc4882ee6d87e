"""The commands people type, one module per group.

What belongs here: options, prompts, tables and messages of commands. What does not: the work itself, which the rooms below do.
Commands start quickly: a command's module is imported only when the command runs.
"""
