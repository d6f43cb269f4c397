"""Gates: one file for each question that the judge asks about a challenger."""
