"""One file per migration, in the order of its number. A migration that was released is never changed."""
