"""The fields of `Settings`, one class per section of the settings' page.

What belongs here: fields with their defaults, descriptions and validators. Everything that reads or explains settings is one
folder up.
"""
