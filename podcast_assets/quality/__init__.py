"""Quality of segments: signal scores, text measures and policies.

What belongs here: scores of segments and the policies that judge them. What does not: recognizers (`speech`), and
whether something may be published (`rights`).
"""
