"""Review: people listen to what was made, judge and correct it, and what they decide becomes data.

What belongs here: accounts, queues, decisions and what is computed from them, and the pages and the HTTP interface that show them.
What does not: the catalog's tables (`catalog`), and carrying out what was decided (`release`, `rights`).
"""
