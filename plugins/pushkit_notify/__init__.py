"""Observers that tell others of a push: a chat, a mail, a program, a log. None of them listens."""
