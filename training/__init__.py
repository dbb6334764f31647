"""Fine-tune a Hugging Face checkpoint on labelled reviews; no part of the server."""
