"""Models, how they are trained, and what strategies, tuners, pruners and fusers share."""
