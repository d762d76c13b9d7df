"""What the installed host gets wrong or cannot run on today's stack, mended from outside."""
