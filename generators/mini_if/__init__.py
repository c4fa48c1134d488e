"""The embedded text-to-image cascade: its pictures, its training, its weights."""
