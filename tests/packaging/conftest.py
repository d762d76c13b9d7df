"""Keep pytest from importing the script that test_registry.py runs."""

collect_ignore = ['registry_cases.py']
