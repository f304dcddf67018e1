"""The strategy ``s3``."""
