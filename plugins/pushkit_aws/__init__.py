"""Amazon Web Services, and what speaks their protocols. Each entry point names a module of its own."""
