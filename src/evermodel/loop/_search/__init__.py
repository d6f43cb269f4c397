"""Parts of loop/tune.py: folds, the trainings of a point, the study that remembers them, the search itself."""
