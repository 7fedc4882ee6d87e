"""Rights: licences, clearance for release, and takedowns.

What belongs here: whether something may be published, and its removal from the store. Statements of publishers are recorded at
intake (`intake.rights_ledger`).
"""
