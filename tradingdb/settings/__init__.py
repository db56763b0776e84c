"""Settings: base.py reads the environment, dev, test and prod only override."""
