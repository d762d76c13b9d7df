"""Keep pytest from importing the scripts that tests run."""

collect_ignore = ['registry_cases.py', 'one_step_each.py']
