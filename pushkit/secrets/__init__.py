"""Secrets: references in the Pushfile, the sources that resolve them, and the redactor that hides the values."""  # noqa: A005  (the standard library's is never meant within pushkit)
