"""Text classifiers of Hugging Face transformers: how their folders are read, trained by adapters and written."""
