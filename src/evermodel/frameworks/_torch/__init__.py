"""The private parts of frameworks/torch.py."""
