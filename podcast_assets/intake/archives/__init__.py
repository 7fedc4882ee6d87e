"""Archives as streams of members, with limits on what they may unpack to. Nothing is extracted to disk by a member's name."""
