"""Reporters: listeners that tell a person or a program what happens during a push."""
