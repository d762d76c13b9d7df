"""Runner hooks that work with every config, ours and mmdet's."""
