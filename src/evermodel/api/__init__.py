"""The Python API: a Registry holds Models, a Model has Versions. Thin: each verb calls the function of its layer."""
