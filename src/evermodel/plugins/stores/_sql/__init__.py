"""The parts of the SQL store: rows in a database, files in a folder or behind a URL, copies of the files."""
