"""Scripts that use a saved file with its framework alone, in a process of their own: they import nothing of Evermodel.

Each is run as ``python SCRIPT FILE INPUT OUTPUT``: it loads the model in FILE, predicts the rows in INPUT (``.npy``, or
``.parquet`` for a model that takes columns by name), writes the answers to OUTPUT (``.npy``) and prints a JSON object
with the widths of input and output. Where the model needs Python files of the user's own, their folder comes last.
"""
