"""Offline: labelled reviews in, a fine-tuned Hugging Face checkpoint out."""
