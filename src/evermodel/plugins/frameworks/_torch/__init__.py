"""The private parts of plugins/frameworks/torch.py."""
