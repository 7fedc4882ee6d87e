"""Moderation: what is said, judged by moderation policies that people write.

What belongs here: moderation policies, the windows of a transcript that are judged, classifiers, and rules about their content
flags. What does not: quality policies (`quality`), and whether something may be published (`rights`).
"""
