"""Coverage: whether the words of a transcript account for the speech in its turn, and what is done where they do not."""
