"""What `rehearse size` recommends for three containers under the same traffic."""
