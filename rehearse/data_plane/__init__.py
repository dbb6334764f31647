"""InvokeEndpoint in, the answer of a container that runs here out, or the platform's error."""
