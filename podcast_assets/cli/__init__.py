"""The commands people type, one module per group.

What belongs here: options, tables and messages of commands. What does not: the work itself, which the packages below do.
A command's module is imported only when the command runs, so that commands start quickly.
"""
