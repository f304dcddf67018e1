"""The secret sources that come with pushkit, each registered as a plugin's is."""
