"""The care of a home: which files its rows need, backups, what the doctor looks at."""
