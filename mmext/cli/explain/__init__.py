"""What the sub-commands of ``mmext explain`` do; one file per command."""
