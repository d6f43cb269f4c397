"""Several models as members of one: ensembles, averaged weights, distillation."""
