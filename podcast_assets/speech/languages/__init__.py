"""Languages of audio and text: codes and their equivalences, and identification from a text."""
