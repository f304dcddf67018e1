"""Secrets: references in the Pushfile, the sources that resolve them, and the redactor that hides the values."""
