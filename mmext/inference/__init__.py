"""A trained detector applied to images, folders and videos, and exported."""
