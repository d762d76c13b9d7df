"""How ``.venv`` is made: used by ``tools/setup_env.py`` alone, stdlib only."""
