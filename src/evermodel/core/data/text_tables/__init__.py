"""How tables are written as text: encodings, the types of texts, and values that a spreadsheet must not run."""
