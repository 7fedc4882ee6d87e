"""The web application: pages for people, and the HTTP interface for programs.

What belongs here: requests, forms, templates and what the browser loads. What does not: anything that decides (`review`).
"""
